"""NST: Huang, Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer", 2017, arXiv:1707.01219.

A channel of a feature map selects regions of the image. The student's channels, as a sample of such regions, should
have the distribution of the teacher's: their maximum mean discrepancy is made small. The numbers of channels may
differ.

Each channel's map has unit length, so the size of the maps does not matter.
"""

from typing import Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.connectors import pool_to_smaller, require_poolable
from kd_bench.distillers.tensors import constant, in_float32

_SMALLEST_SQUARED_NORM = 1e-24
"""That of torch's `normalize`, in RepDistiller and mdistiller: a channel that is nearly dead counts like the others."""


def nst_loss(student: tf.Tensor, teacher: tf.Tensor, kernel: str = "polynomial") -> tf.Tensor:
    """Returns the squared maximum mean discrepancy of the channels' maps, a mean over the batch (eq. 5 of the paper).

    Args:
        student: `[B,H,W,C_s]`.
        teacher: `[B,H,W,C_t]`; gets no gradient.
        kernel: of two maps x and y: `polynomial`, (x . y)**2, or `linear`, x . y.

    Raises:
        ValueError: batch sizes, heights or widths differ.
    """
    student, teacher = in_float32(student), constant(teacher)
    if not student.shape[:3].is_compatible_with(teacher.shape[:3]):
        raise ValueError(f"nst_loss: the student's shape {student.shape} differs from the teacher's {teacher.shape}.")
    student, teacher = unit_maps(student), unit_maps(teacher)
    within = _mean_kernel(student, student, kernel) + _mean_kernel(teacher, teacher, kernel)
    return tf.reduce_mean(within - 2 * _mean_kernel(student, teacher, kernel))


def unit_maps(features: tf.Tensor) -> tf.Tensor:
    """Returns each channel's map as a vector of unit length, `[B,HW,C]`; a map of zeros stays one.

    Args:
        features: `[B,H,W,C]`.
    """
    _, height, width, channels = features.shape
    vectors = tf.reshape(features, [-1, height * width, channels])
    return tf.math.l2_normalize(vectors, axis=1, epsilon=_SMALLEST_SQUARED_NORM)


def _mean_kernel(first: tf.Tensor, second: tf.Tensor, kernel: str) -> tf.Tensor:
    """Returns the mean of the kernel over all pairs of channels, `[B]`."""
    products = tf.matmul(first, second, transpose_a=True)
    return tf.reduce_mean(products**2 if kernel == "polynomial" else products, axis=[1, 2])


class NeuronSelectivity(Distiller):
    """One stage: cross-entropy + weight * the sum over the feature points of nst_loss on the `passed` maps."""

    min_points = 1

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        kernel: Literal["polynomial", "linear"],
        points: Literal["all", "last"],
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        self.kernel = kernel
        self.first_point = 0 if points == "all" else -1
        require_poolable(student.output["passed"], teacher.output["passed"])

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted sum over the feature points."""
        pairs = list(zip(batch.student["passed"], batch.teacher["passed"], strict=True))[self.first_point :]
        losses = [nst_loss(*pool_to_smaller(*map(in_float32, pair)), self.kernel) for pair in pairs]
        return self.weight * tf.add_n(losses)
