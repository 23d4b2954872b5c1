"""Limits the distillation gradient to the length of the task's: the adaptive constraint of KD-SVD, KD-EID and MHGD.

Lee, Kim, Song, "Self-supervised Knowledge Distillation Using Singular Value Decomposition", ECCV 2018,
arXiv:1807.06819. The losses of these methods are sums of very different size, and this constraint sets their weight.
"""

from collections.abc import Sequence
from typing import Literal

import keras
import tensorflow as tf

from kd_bench.distillers.base import Batch, Distiller, Gradients
from kd_bench.distillers.connectors import Ending, connectors

Clip = Literal["ramp", "constant", "none"]
"""The largest ratio tau of the lengths of both gradients: `ramp`, sigmoid(epoch) (authors' code, SSKD_SVD and TF1
repository); `constant`, 1 (TF2 repositories); or `none`, no limit (RepDistiller, mdistiller), which needs `weight`.
"""

_TINY = 1e-12


def clip_to_task(
    task_gradients: Sequence[tf.Tensor | None], distill_gradients: Sequence[tf.Tensor | None], tau: float = 1.0
) -> Gradients:
    """Returns the distillation gradients, each shortened to at most tau times the task gradient of its variable.

    A variable without a task gradient, as in a connector, keeps its gradient; else it would never train. A gradient
    with an entry that is not finite becomes 0.

    Args:
        task_gradients: one per variable, or None.
        distill_gradients: one per variable, or None.
        tau: the largest ratio of lengths.
    """
    return [
        None if distill is None else _clip(task, _finite_or_zero(distill), tau)
        for task, distill in zip(task_gradients, distill_gradients, strict=True)
    ]


def _clip(task: tf.Tensor | None, distill: tf.Tensor, tau: float) -> tf.Tensor:
    if task is None:
        return distill
    return distill * tf.minimum(1.0, tau * tf.norm(task) / tf.maximum(tf.norm(distill), _TINY))


def is_finite(tensor: tf.Tensor) -> tf.Tensor:
    """Returns whether every entry is finite, a scalar."""
    return tf.reduce_all(tf.math.is_finite(tensor))


def _finite_or_zero(gradient: tf.Tensor) -> tf.Tensor:
    return tf.where(is_finite(gradient), gradient, tf.zeros_like(gradient))


def _sum(*gradients: tf.Tensor | None) -> tf.Tensor | None:
    present = [gradient for gradient in gradients if gradient is not None]
    return tf.add_n(present) if present else None


class ClippedDistiller(Distiller):
    """One joint stage on the `post` maps of all points, with distillation gradients clipped to those of the task.

    Attributes:
        connectors: on the student's maps: a 1x1 convolution, batch norm and `connector` where channels differ.
            The authors have none. A map after its ReLU has no negative values, and its top singular vector is near its
            mean; without a ReLU of its own, a connected map has mean zero and its vectors lie elsewhere.
        dropped: per step, the number of variables whose distillation gradients were not finite.
    """

    min_points = 2
    supports_xla = False  # XLA's decompositions of a batch of matrices are many times slower than TensorFlow's

    def __init__(
        self, student: keras.Model, teacher: keras.Model, connector: Ending, clip: Clip, weight: float
    ) -> None:
        super().__init__(student, teacher)
        self.clip = clip
        self.weight = weight
        self.connectors = connectors(student.output["post"], teacher.output["post"], ending=connector)
        self.trained = [self.connectors]
        if self.connectors.trainable_variables:  # channels differ somewhere
            self.adjust("connector", "linear", connector)
        if clip != "none":
            self.combine_gradients = self.clipped
        self.dropped = keras.metrics.Mean(name="dropped_gradients")
        self.own_metrics.append(self.dropped)

    def student_maps(self, batch: Batch) -> list[tf.Tensor]:
        """Returns the student's maps, `[B,H,W,D]` each, with the teacher's channels."""
        return self.connectors(batch.student["post"], training=True)

    def clipped(self, gradients: dict[str, Gradients], batch: Batch) -> Gradients:
        """Returns task + clipped distillation gradients + those of other terms; the optimizer adds the weight decay."""
        task, distill = gradients["task"], gradients["distill"]
        present = [gradient for gradient in distill if gradient is not None]
        self.dropped.update_state(tf.add_n([tf.cast(~is_finite(gradient), tf.float32) for gradient in present]))
        tau = tf.sigmoid(batch.epoch) if self.clip == "ramp" else 1.0
        others = [gradients[name] for name in self.extra_losses]
        return [_sum(*parts) for parts in zip(task, clip_to_task(task, distill, tau), *others, strict=True)]
