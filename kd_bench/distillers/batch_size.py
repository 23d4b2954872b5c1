"""Scales published weights to another batch size.

A loss of B x B relations whose rows have a fixed size, averaged over all B**2 entries, falls as 1 / B: repeating every
sample of a batch halves it. Multiplied by B, it is a mean over samples, like the other losses.
"""

import tensorflow as tf

PUBLISHED_BATCH = 64
"""The batch size of RepDistiller and mdistiller, for which the weights were published."""


def batch_ratio(batch: tf.Tensor) -> tf.Tensor:
    """Returns the number of samples of the global batch, `[B,...]`, relative to the published batch size."""
    return tf.cast(tf.shape(batch)[0], tf.float32) / PUBLISHED_BATCH
