"""The networks that the distillation benchmarks have for 32x32 images besides VGG and the residual ones."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.command import ROOT
from helpers.methods import small_batch

from kd_bench.complexity import multiply_adds
from kd_bench.config.compose import jobs
from kd_bench.distillers.co import batch_norm_of
from kd_bench.errors import ConfigError
from kd_bench.networks.bottleneck_resnet import bottleneck_resnet
from kd_bench.networks.mobilenet_v2 import mobilenet_v2
from kd_bench.networks.shufflenet_v1 import shufflenet_v1
from kd_bench.networks.shufflenet_v2 import shufflenet_v2
from kd_bench.training.saving import save_network

POINTS = {"points": [1, 2, 3, 4]}
SMALL = {
    bottleneck_resnet: {"depth": 50, "stem_channels": 2, "stem_stride": 2, **POINTS},
    mobilenet_v2: {"width": 0.125, "expansion": 2, "stem_stride": 2, **POINTS},
    shufflenet_v1: {"stem_channels": 12, "channels": 48, "parts": 3},
    shufflenet_v2: {"stem_channels": 4, "channels": [8, 16, 32], "last_channels": 32},
}
NAMES = {build.__name__: build for build in SMALL}


def built(name, shape=(16, 16, 3), classes=5, **changed):
    return NAMES[name](shape, classes, **{"padding": "symmetric", **SMALL[NAMES[name]], **changed})


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("name", NAMES)
def test_points_are_of_one_forward_pass(name, padding, generator):
    outputs = built(name, padding=padding)(generator.normal(size=(4, 16, 16, 3)), training=True)
    for pre, post, passed in zip(outputs["pre"], outputs["post"], outputs["passed"], strict=True):
        np.testing.assert_array_equal(post, pre if name == "mobilenet_v2" else np.maximum(pre, 0))
        np.testing.assert_array_equal(passed, post)
        assert np.min(pre) < 0
    assert (outputs["logits"].shape, len(outputs["embedding"].shape)) == ((4, 5), 2)
    sizes = [tensor.shape[1] for tensor in outputs["post"]]
    assert sizes == ([8, 4, 2, 1] if len(sizes) == 4 else [8, 4, 2])


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_has_a_gradient(name, generator):
    network = built(name)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network(generator.normal(size=(8, 16, 16, 3)), training=True)["logits"] ** 2)
    gradients = tape.gradient(loss, [variable.value for variable in network.trainable_variables])
    assert all(np.isfinite(gradient).all() and np.any(gradient) for gradient in gradients)


# Keras 3.15 saves a variable by np.array(), for which TensorFlow's lacks NumPy 2's keyword.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_saved_network_is_the_same_network_in_plain_keras(name, generator, tmp_path):
    network, images = built(name), generator.normal(size=(2, 16, 16, 3)).astype(np.float32)
    network(images, training=True)  # so that the statistics of its batch norms differ from their start
    save_network(tmp_path / "network.keras", network, np.float32([2, 2, 2]), np.float32([3, 3, 3]))
    loaded = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(3 * images + 2), network(images)["logits"], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["bottleneck_resnet", "mobilenet_v2", "shufflenet_v1"])
def test_a_point_has_the_batch_norm_that_ends_its_block(name):
    for point in built(name).output["pre"]:
        assert batch_norm_of(point).gamma.shape == point.shape[-1:]


@pytest.mark.parametrize("name", ["bottleneck_resnet", "mobilenet_v2"])
def test_the_points_can_be_chosen(name):
    every, some = built(name).output["post"], built(name, points=[1, 3]).output["post"]
    assert [tensor.shape for tensor in some] == [every[0].shape, every[2].shape]
    with pytest.raises(ConfigError, match=r"points=\[3, 1\]: must be blocks from 1 to 4"):
        built(name, points=[3, 1])


@pytest.mark.parametrize("name", NAMES)
def test_images_that_are_too_small_are_refused(name):
    smallest = {"bottleneck_resnet": 9, "mobilenet_v2": 9, "shufflenet_v1": 5, "shufflenet_v2": 5}[name]
    built(name, (smallest, smallest, 1))
    with pytest.raises(ConfigError, match="are too small for the strides"):
        built(name, (smallest - 1, smallest, 1))


def test_multiply_adds_of_a_block_by_parts_count_each_part():
    # Stem; then, at 8, 4 and 2 pixels, blocks that compute with 9 (first group: 36 returned), 12, 24 and 48 channels.
    def block(positions, read, narrow, returned, parts, before):
        return before * read * narrow // parts + positions * (9 * narrow + narrow * returned // 3)

    stem = 256 * 3 * 12
    first = block(64, 12, 9, 36, 1, 256) + 3 * block(64, 48, 12, 48, 3, 64)
    second = block(16, 48, 12, 48, 3, 64) + 7 * block(16, 96, 24, 96, 3, 16)
    third = block(4, 96, 24, 96, 3, 16) + 3 * block(4, 192, 48, 192, 3, 4)
    assert multiply_adds(built("shufflenet_v1")) == stem + first + second + third + 192 * 5


def test_channels_that_parts_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match=r"channels=50: .*; parts=3 must divide both"):
        built("shufflenet_v1", channels=50)
    with pytest.raises(ConfigError, match="channels=12: must be above stem_channels=12"):
        built("shufflenet_v1", channels=12)
    with pytest.raises(ConfigError, match=r"channels=\[8, 16, 31\]: must be 3 even numbers"):
        built("shufflenet_v2", channels=[8, 16, 31])


@pytest.mark.parametrize("name", NAMES)
def test_a_network_learns_by_logits_maps_and_relations(name):
    keras.utils.set_random_seed(0)
    teacher, student = built(name), built(name)
    images, labels, indices = small_batch(16, (16, 16, 3))
    batches = tf.data.Dataset.from_tensor_slices((images, labels % 5, indices)).batch(16)
    for method in ("soft_logits", "at", "sp"):
        distiller = jobs([f"method={method}"])[0].method.build(student, teacher)
        optimizer = keras.optimizers.Adam(1e-3)  # its steps do not depend on the sizes of gradients
        distiller.begin(distiller.stages()[-1], optimizer, 4, 1, jit_compile=False)
        distiller.run_eagerly = True
        first, *_, last = distiller.fit(batches, epochs=4, shuffle=False, verbose=0).history["loss"]
        assert last < first, method
        assert all(np.any(momentum.numpy()) for momentum in optimizer._momentums), method  # each had a gradient


REPLICAS = """
import json, sys
import keras, numpy as np, tensorflow as tf
from helpers.methods import small_batch
from kd_bench.config.compose import jobs
from kd_bench.training import hardware
from kd_bench.training.optimizers import sgd
from networks.test_small_image_networks import NAMES, built

keras.config.set_floatx("float64")
strategy = hardware.strategy(device="cpu", replicas=int(sys.argv[1]), threads=None)
method = jobs(["method=soft_logits"])[0].method
found = {}
for name in NAMES:
    keras.utils.set_random_seed(0)
    with strategy.scope():
        distiller = method.build(built(name), built(name))
        optimizer = sgd(
            None, learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.0, decay_at=[], decay_factor=1.0
        )
        distiller.begin(distiller.stages()[-1], optimizer, 1, 1, jit_compile=False)
        distiller.run_eagerly = True
    images, labels, indices = small_batch(16, (16, 16, 3))
    batches = tf.data.Dataset.from_tensor_slices((images, labels % 5, indices)).batch(16)
    before = [one.numpy() for one in distiller.student.variables]
    distiller.fit(batches, epochs=1, shuffle=False, verbose=0)
    changes = [(one.numpy() - value).ravel() for one, value in zip(distiller.student.variables, before, strict=True)]
    found[name] = np.concatenate(changes).astype(float).tolist()
print(json.dumps(found))
"""


def after_one_step(replicas):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    program = [sys.executable, "-c", REPLICAS, str(replicas)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_two_replicas_equal_one():
    one, two = after_one_step(1), after_one_step(2)
    assert one.keys() == two.keys() == NAMES.keys()
    for name in one:
        # As a share of the largest change, in doubles: in the first step, rounding grows with the gradients.
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-6 * np.abs(one[name]).max(), err_msg=name)
