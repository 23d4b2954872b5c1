"""How the weight of a term rises at the start of a stage, in runs of any length."""

from fractions import Fraction

import tensorflow as tf

from kd_bench.distillers.base import Batch

_LARGEST_DENOMINATOR = 10**6
"""Of a share in decimals. Products with the steps of a run fit into 64 bits."""


def warmup(batch: Batch, share: float | str, rises: int) -> tf.Tensor:
    """Returns what a weight has risen to, in equal steps: 1 / rises at first, 1 in the last of them and after it.

    Authors raise weights from epoch to epoch. Where they count epochs from 1, share = rises / epochs has their weight
    in every training step: whole numbers are compared, so no step is early or late.

    Args:
        batch: of the step.
        share: the rise's share of the stage; 0 for none.
        rises: how many values the weight takes.

    Returns:
        A float32 scalar.
    """
    part = Fraction(share).limit_denominator(_LARGEST_DENOMINATOR)
    if not part:
        return tf.constant(1.0)
    complete = batch.step * (rises * part.denominator) // (batch.steps * part.numerator)
    return tf.minimum(1.0, tf.cast(complete + 1, tf.float32) / rises)
