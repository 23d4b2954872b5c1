"""Every method of conf/method, by name, on two small networks of different widths."""

from functools import cache
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from hydra.utils import get_class

from kd_bench.config import compose
from kd_bench.config.network import MAPS
from kd_bench.distillers.base import Batch
from kd_bench.networks.wide_resnet import wide_resnet
from kd_bench.training.optimizers import sgd

LABELS = np.random.default_rng(2).integers(0, 10, 64, dtype=np.int32)
"""Of all images that a small batch may hold."""

BATCH_SIZE = 8
"""Of a small batch, unless a test asks for another."""

METHODS = sorted(path.stem for path in (Path(compose.CONF) / "method").glob("*.yaml"))


def build(method, overrides=(), shape=(8, 8, 1), **of_teacher):
    """Returns the distiller of a method with its default hyper-parameters, seeded; `of_teacher`: its own sizes.

    Its networks have only the outputs that the method says it reads, as a user's own networks may.
    """
    keras.utils.set_random_seed(0)
    config = _composed(f"method={method}", *overrides)
    kind = get_class(config.method.target)
    sizes = {"depth": 10, "stem_channels": 8, "stem_stride": 1}
    teacher = None if kind.teacher_init is None else wide_resnet(shape, 10, **{"width": 2, **sizes, **of_teacher})
    student = wide_resnet(shape, 10, width=2 if kind.network == "teacher" else 1, **sizes)
    distiller = config.method.build(_with_declared(kind, student), teacher and _with_declared(kind, teacher))
    distiller.prepare(LABELS, BATCH_SIZE)
    return distiller


def _with_declared(kind, network):
    """Returns a network with no other outputs than those that a method says it reads."""
    read = ["logits", *["embedding"] * kind.needs_embedding, *MAPS * (kind.min_points > 0)]
    return keras.Model(network.input, {name: network.output[name] for name in read}, name=network.name)


@cache
def _composed(*arguments):
    (config,) = compose.jobs(arguments)
    return config


def small_batch(size=BATCH_SIZE, shape=(8, 8, 1)):
    """Returns images `[B,H,W,C]`, labels `[B]` and indices `[B]`."""
    generator = np.random.default_rng(1)
    images = generator.normal(size=(size, *shape)).astype(np.float32)
    return tf.constant(images), tf.constant(LABELS[:size]), tf.range(size)


def batch_of(distiller, step=0, steps=1, **options):
    """Returns a small batch as a method sees it at a step of a stage of some steps, each of them an epoch."""
    return Batch(distiller, *small_batch(**options), tf.constant(step, tf.int64), steps, 1)


def one_step(distiller, stage, graph=False, **options):
    """Does one step of a stage by the protocol and returns its logs. A graph takes ten times as long, to be traced."""
    optimizer = sgd(
        None, learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.0, decay_at=[], decay_factor=1.0
    )
    distiller.begin(stage, optimizer, 1, 1, jit_compile=False)
    logs = (tf.function(distiller.train_step, autograph=False) if graph else distiller.train_step)(
        small_batch(**options)
    )
    return {name: float(value) for name, value in logs.items()}
