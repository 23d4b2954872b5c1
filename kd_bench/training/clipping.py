"""Clips gradients by their common norm."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class ClippedGradients:
    """Shortens the gradients of a step to the common norm `global_clipnorm`, if they are longer; for an optimizer.

    Keras's `global_clipnorm` clips the gradients of each replica before they are added, so that the step depends on the
    number of replicas.
    """

    def __init__(self, *, global_clipnorm: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.largest_norm = global_clipnorm

    def apply(self, grads: Sequence[tf.Tensor | None], trainable_variables: Sequence[keras.Variable]) -> None:
        """Does one step with a replica's gradients."""
        if self.largest_norm:
            context = tf.distribute.get_replica_context()
            summed = [
                None if gradient is None else context.all_reduce(tf.distribute.ReduceOp.SUM, gradient)
                for gradient in grads
            ]
            clipped, _ = tf.clip_by_global_norm(summed, self.largest_norm)
            # The optimizer adds the gradients of the replicas again.
            replicas = context.num_replicas_in_sync
            grads = [None if gradient is None else gradient / replicas for gradient in clipped]
        super().apply(grads, trainable_variables)  # type: ignore[misc]
