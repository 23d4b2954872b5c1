"""Actions to time: a method's training step as `fit` runs it, data included, and a floor's step."""

from collections.abc import Callable

import tensorflow as tf

from benchmarks.measure import Action
from benchmarks.pairs import Pair
from kd_bench.data.batches import training_batches
from kd_bench.data.images import ImageDataset
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.training.hardware import prepare_process, resolve_jit

_ENDLESS = 10**6


def prepare(pair: Pair, precision: str | None = None) -> str:
    """Sets up the process for a pair, by default in the preset's precision; returns the precision that is used.

    Threads can be set only once, so a process measures only one pair.
    """
    pair.config().hardware.build()
    return prepare_process(precision or pair.config().precision, deterministic=False, seed=0)


def step_action(pair: Pair, method: str, stage: int = -1) -> Action:
    """Returns an action of `pair.steps` steps of a stage of the method, by default the main one, as `fit` does them."""
    distiller = pair.distiller(method)
    return _steps(pair, distiller, distiller.stages()[stage])


def _steps(pair: Pair, distiller: Distiller, stage: Stage) -> Action:
    optimizer = pair.config().optimizer.build(_ENDLESS, stage.learning_rate_scale)
    compiled = resolve_jit("auto", tf.distribute.get_strategy(), distiller.supports_xla)
    distiller.begin(stage, optimizer, 1, _ENDLESS, jit_compile=compiled, steps_per_execution=pair.steps)
    distiller.make_train_function()
    images = iter(batches(pair))
    return lambda: float(distiller.train_function(images)["loss"])


def floor_action(pair: Pair, step: Callable[[], tf.Tensor]) -> Action:
    """Returns an action of `pair.steps` steps of the floor."""
    return lambda: [float(step()) for _ in range(pair.steps)]


def batches(pair: Pair, dataset: ImageDataset | None = None) -> tf.data.Dataset:
    """Returns the project's own input pipeline without end, by default over the pair's images."""
    data = dataset or pair.dataset
    return training_batches(data.train, data, batch_size=pair.batch_size, seed=0, first_step=0, steps=_ENDLESS)


def one_batch(pair: Pair) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the images and labels of one step."""
    images, labels, _ = next(iter(batches(pair)))
    return images, labels
