"""Helps losses so that a step on several replicas equals the step on one.

The step takes the mean of the losses of all replicas. That is right for a loss that is a mean over samples. A loss that
compares samples with each other needs the global batch, and a sum over samples must be scaled.
"""

import tensorflow as tf


def global_batch(tensor: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas, `[B,...]`, from the share of each replica; the gradient flows back to each."""
    context = tf.distribute.get_replica_context()
    return tensor if context.num_replicas_in_sync == 1 else context.all_gather(tensor, axis=0)


def summed_over_batch(loss: tf.Tensor) -> tf.Tensor:
    """Scales a sum over a replica's samples, so that the mean over replicas is the sum over the global batch."""
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    return loss * tf.cast(replicas, loss.dtype)
