"""Exponential moving averages of the trained variables, which replace them in the network that is evaluated and saved.

Keras's own `use_ema` overwrites the variables at the end of each call of `fit`, which is the end of an epoch in a
resumed run; and its callback `SwapEMAWeights` exchanges values by adding and subtracting them, which rounds.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from kd_bench.distillers.base import Distiller


class AveragedWeights:
    """Keeps the average m * average + (1 - m) * variable of each variable; a mixin for a Keras optimizer.

    Attributes:
        average_momentum: m; 0 for no averages. It can be changed until the optimizer is built.
        averages: of the variables, in their order; empty without averages.
    """

    def __init__(self, *, average_momentum: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.average_momentum = average_momentum
        self.averages: list[keras.Variable] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the averages."""
        super().build(variables)  # type: ignore[misc]
        if self.average_momentum:
            self.averages = self.add_optimizer_variables(variables, "average")  # type: ignore[attr-defined]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Updates one variable and its average. The first value of an average is the variable after its first step."""
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
        if self.averages:
            average = self.averages[self._get_variable_index(variable)].value  # type: ignore[attr-defined]
            started = tf.cast(self.iterations.value > 0, average.dtype)  # type: ignore[attr-defined]
            momentum = self.average_momentum * started
            average.assign(momentum * average + (1 - momentum) * tf.cast(variable, average.dtype))


@contextlib.contextmanager
def averaged(distiller: Distiller) -> Iterator[None]:
    """Lets the body see the averages as the variables of the current stage."""
    kept = [variable.numpy() for variable, _ in _pairs(distiller)]
    keep_averages(distiller)
    try:
        yield
    finally:
        for (variable, _), value in zip(_pairs(distiller), kept, strict=True):
            variable.assign(value)


def keep_averages(distiller: Distiller) -> None:
    """Replaces the variables of the current stage by their averages, if there are any."""
    for variable, average in _pairs(distiller):
        variable.assign(average)


def _pairs(distiller: Distiller) -> list[tuple[keras.Variable, keras.Variable]]:
    # In float16, Keras wraps the optimizer.
    optimizer = getattr(distiller.optimizer, "inner_optimizer", distiller.optimizer)
    averages = getattr(optimizer, "averages", [])
    assert distiller.stage is not None, "a stage has begun"
    return list(zip(distiller.stage.variables, averages, strict=True)) if averages else []
