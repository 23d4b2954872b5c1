"""What a loss must know of replicas, so that a step on several equals the step on one.

The step takes the mean of the replicas' losses. That is right for a mean over samples. A loss that relates samples to
each other looks at the global batch; one that sums over samples is scaled.
"""

import tensorflow as tf


def global_batch(tensor: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas, `[B,...]`, from each one's share of them; the gradient flows back to each."""
    context = tf.distribute.get_replica_context()
    return tensor if context.num_replicas_in_sync == 1 else context.all_gather(tensor, axis=0)


def summed_over_batch(loss: tf.Tensor) -> tf.Tensor:
    """Scales a sum over a replica's samples, so that the mean over replicas is the sum over the global batch."""
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    return loss * tf.cast(replicas, loss.dtype)
