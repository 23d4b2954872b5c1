"""The optimizers of the protocol: stepped learning rate, coupled weight decay.

Keras's `weight_decay` is decoupled: it is applied outside the momentum, and about ten times weaker at momentum 0.9.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive, Probability, RisingShares


class CoupledWeightDecay:
    """Adds `coupled_weight_decay * variable` to the gradient of a variable; a mixin for a Keras optimizer."""

    def __init__(self, *, coupled_weight_decay: float, **options: Any) -> None:
        super().__init__(**options)
        self.coupled_weight_decay = coupled_weight_decay

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Updates one variable; under `tf.distribute` the gradient is the sum over the replicas."""
        if self._use_weight_decay(variable):  # type: ignore[attr-defined]
            gradient = gradient + tf.cast(self.coupled_weight_decay, gradient.dtype) * tf.cast(variable, gradient.dtype)
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class FusedSGD(keras.optimizers.SGD):
    """Keras's SGD with momentum: the same results, with one kernel per variable instead of seven small operations."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """Updates one variable."""
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class SGD(CoupledWeightDecay, FusedSGD):
    """Stochastic gradient descent with coupled weight decay."""


class Adam(CoupledWeightDecay, keras.optimizers.Adam):
    """Adam with coupled weight decay."""


def stepped(learning_rate: float, steps: int | None, decay_at: Sequence[float], decay_factor: float) -> Any:
    """Returns the schedule that multiplies the rate by `decay_factor` at each of the fractions `decay_at` of the steps.

    Args:
        learning_rate: the initial rate.
        steps: steps of the stage; None keeps the rate constant.
        decay_at: rising fractions of the steps; an empty list keeps the rate constant.
        decay_factor: 0.2 in the published protocol.
    """
    if steps is None or not decay_at:
        return learning_rate
    # Keras uses a value up to and including the boundary.
    boundaries = [round(share * steps) - 1 for share in decay_at]
    values = [learning_rate * decay_factor**passed for passed in range(len(decay_at) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)


def sgd(
    steps: int | None,
    learning_rate_scale: float = 1.0,
    *,
    learning_rate: Positive,
    momentum: Probability,
    nesterov: bool,
    weight_decay: NonNegative,
    decay_at: RisingShares,
    decay_factor: Positive,
) -> SGD:
    """Builds the optimizer of a stage of `steps` steps; None keeps the learning rate constant."""
    rate = stepped(learning_rate * learning_rate_scale, steps, decay_at, decay_factor)
    return SGD(learning_rate=rate, momentum=momentum, nesterov=nesterov, coupled_weight_decay=weight_decay)


def adam(
    steps: int | None,
    learning_rate_scale: float = 1.0,
    *,
    learning_rate: Positive,
    beta_1: Probability,
    beta_2: Probability,
    weight_decay: NonNegative,
    decay_at: RisingShares,
    decay_factor: Positive,
) -> Adam:
    """Builds the optimizer of a stage of `steps` steps; None keeps the learning rate constant."""
    rate = stepped(learning_rate * learning_rate_scale, steps, decay_at, decay_factor)
    return Adam(learning_rate=rate, beta_1=beta_1, beta_2=beta_2, coupled_weight_decay=weight_decay)


def learning_rate_of(optimizer: keras.Optimizer) -> float:
    """Returns the current learning rate."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
