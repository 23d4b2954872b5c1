"""A gradient of every shipped network on images of the usual sizes, in a process that a crash may end."""

import subprocess
import sys

import pytest
from helpers.command import ROOT

GRADIENTS = """
import sys
import numpy as np
import tensorflow as tf
from kd_bench.config.compose import jobs

sizes, *pairs = sys.argv[1:]
models = [jobs(["method=student", f"model={pair}"])[0].model for pair in pairs]
networks = {str(network): network for model in models for network in (model.teacher, model.student)}
for size in map(int, sizes.split(",")):
    images = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    for architecture in networks.values():
        network = architecture.build(images.shape[1:], 10)
        with tf.GradientTape() as tape:
            outputs = network(images, training=True)
            loss = tf.reduce_mean((outputs["logits"] if isinstance(outputs, dict) else outputs) ** 2)
        gradients = tape.gradient(loss, [variable.value for variable in network.trainable_variables])
        assert all(np.isfinite(gradient).all() for gradient in gradients), architecture
    print(size)
"""
PAIRS = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml"))
LARGE = ["keras_applications", "tiny"]
"""The pair that suits photographs, and the one that everybody starts with."""
FAMILIES = ["wrn_16_2_wrn_10_1", "wrn_16_2_wrn_10_1_stride_2", "resnet_32x4_resnet_8x4", "vgg_13_vgg_8", *LARGE]
"""Pairs with every kind of layer."""


@pytest.mark.parametrize(("sizes", "pairs"), [(["32"], PAIRS), (["64"], FAMILIES), (["224"], LARGE)])
def test_every_network_has_gradients_on_images_of_the_usual_sizes(sizes, pairs):
    command = [sys.executable, "-c", GRADIENTS, ",".join(sizes), *pairs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, sizes), done.stderr[-2000:]
