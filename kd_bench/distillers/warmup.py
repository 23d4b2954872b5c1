"""How the weight of a term rises at the start of a stage, in runs of any length."""

import tensorflow as tf


def warmup(progress: tf.Tensor, share: float, steps: int) -> tf.Tensor:
    """Returns what a weight has risen to, in equal steps: 1 / steps at first, 1 in the last step and after it.

    Authors raise weights from epoch to epoch and count epochs from 1. With their number of epochs and
    share = steps / epochs, each step is one epoch, and the weights are theirs.

    Args:
        progress: how much of the stage is complete, in [0, 1).
        share: the rise's share of the stage; 0 for none.
        steps: how many values the weight takes.
    """
    if not share:
        return tf.ones_like(progress)
    return tf.minimum(1.0, (tf.floor(steps * progress / share) + 1) / steps)
