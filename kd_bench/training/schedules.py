"""Learning rates over the steps of a stage: stepped or cosine, with or without a warm-up."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Raises the rate in a line from 0 over the first steps; then it is constant, or follows another schedule."""

    def __init__(self, rate: keras.optimizers.schedules.LearningRateSchedule | float, steps: int) -> None:
        self.rate = rate
        self.steps = steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of a step, counted from 0."""
        rate = self.rate(step) if callable(self.rate) else self.rate
        return rate * tf.minimum(1.0, tf.cast(step, tf.float32) / self.steps)


def learning_rate_schedule(
    learning_rate: float,
    steps: int | None,
    schedule: str,
    warmup: float,
    decay_at: Sequence[float],
    decay_factor: float,
) -> Any:
    """Returns the schedule of a stage, or a constant rate.

    Args:
        learning_rate: the highest rate.
        steps: steps of the stage; None keeps the rate constant, without a warm-up.
        schedule: `stepped` or `cosine`.
        warmup: the share of the steps over which the rate rises.
        decay_at: as for `stepped`.
        decay_factor: as for `stepped`.
    """
    if steps is None:
        return learning_rate
    warmup_steps = min(round(warmup * steps), steps - 1)
    if schedule == "cosine":
        return cosine(learning_rate, steps, warmup_steps)
    rate = stepped(learning_rate, steps, decay_at, decay_factor)
    return WarmUp(rate, warmup_steps) if warmup_steps else rate


def cosine(learning_rate: float, steps: int, warmup_steps: int) -> keras.optimizers.schedules.CosineDecay:
    """Returns Keras's schedule: it rises in a line from 0 over the warm-up, and falls along half a cosine to 0."""
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup_steps, warmup_target=learning_rate, warmup_steps=warmup_steps
    )


def stepped(learning_rate: float, steps: int, decay_at: Sequence[float], decay_factor: float) -> Any:
    """Returns the schedule that multiplies the rate by `decay_factor` at each of the shares `decay_at` of the steps.

    Args:
        learning_rate: the initial rate.
        steps: steps of the stage.
        decay_at: rising shares of the steps; an empty list keeps the rate constant.
        decay_factor: 0.2 in the published protocol.
    """
    if not decay_at:
        return learning_rate
    # Keras uses a value up to and including the boundary.
    boundaries = [round(share * steps) - 1 for share in decay_at]
    values = [learning_rate * decay_factor**passed for passed in range(len(decay_at) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
