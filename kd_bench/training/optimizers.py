"""The optimizers of the protocol: learning rates, coupled weight decay, clipped gradients, averaged weights.

Keras's `weight_decay` is decoupled: it is applied outside the momentum, and about ten times weaker at momentum 0.9.
"""

from typing import Any, Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, PartialShare, Positive, Probability, RisingShares
from kd_bench.training.averaging import AveragedWeights
from kd_bench.training.clipping import ClippedGradients
from kd_bench.training.schedules import learning_rate_schedule


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


class SGD(ClippedGradients, AveragedWeights, CoupledWeightDecay, FusedSGD):
    """Stochastic gradient descent with coupled weight decay, and the options of the protocol."""


class Adam(ClippedGradients, AveragedWeights, CoupledWeightDecay, keras.optimizers.Adam):
    """Adam with coupled weight decay, and the options of the protocol."""


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
    schedule: Literal["stepped", "cosine"] = "stepped",
    warmup: PartialShare = 0.0,
    global_clipnorm: Positive | None = None,
    ema_momentum: PartialShare = 0.0,
) -> SGD:
    """Builds the optimizer of a stage of `steps` steps; None keeps the learning rate constant."""
    rate = learning_rate_schedule(learning_rate * learning_rate_scale, steps, schedule, warmup, decay_at, decay_factor)
    options = {
        "coupled_weight_decay": weight_decay,
        "global_clipnorm": global_clipnorm,
        "average_momentum": ema_momentum,
    }
    return SGD(learning_rate=rate, momentum=momentum, nesterov=nesterov, **options)


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
    schedule: Literal["stepped", "cosine"] = "stepped",
    warmup: PartialShare = 0.0,
    global_clipnorm: Positive | None = None,
    ema_momentum: PartialShare = 0.0,
) -> Adam:
    """Builds the optimizer of a stage of `steps` steps; None keeps the learning rate constant."""
    rate = learning_rate_schedule(learning_rate * learning_rate_scale, steps, schedule, warmup, decay_at, decay_factor)
    options = {
        "coupled_weight_decay": weight_decay,
        "global_clipnorm": global_clipnorm,
        "average_momentum": ema_momentum,
    }
    return Adam(learning_rate=rate, beta_1=beta_1, beta_2=beta_2, **options)


def learning_rate_of(optimizer: keras.Optimizer) -> float:
    """Returns the current learning rate."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
