"""Attention transfer: Zagoruyko, Komodakis, "Paying More Attention to Attention", ICLR 2017, arXiv:1612.03928.

The student matches the teacher's spatial attention maps: the positions where activations are large, over all channels.
There are no connectors: channels may differ. If sizes differ, the larger map is average-pooled to the smaller size.

Paper and authors' code differ (attention-transfer issue 34): equation 2 has the norm of the difference of the maps, the
code has the mean of its square, with beta = 1000. `distance` chooses. Their README says that the code reproduces the
paper.

The code's loss is a mean over the positions of maps of unit length, so it is larger for smaller maps: see `scaling.py`.
"""

from collections.abc import Sequence
from typing import Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, PositiveInt
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.connectors import pool_to_smaller
from kd_bench.distillers.scaling import area_ratio
from kd_bench.distillers.tensors import constant, in_float32


def attention_map(features: tf.Tensor, p: int = 2) -> tf.Tensor:
    """Returns the sum over channels of |features|**p, flattened and of unit length for each sample.

    Args:
        features: `[B,H,W,C]`.
        p: the power.

    Returns:
        `[B,H*W]`; zeros for a map of zeros.
    """
    powers = features**p if p % 2 == 0 else tf.abs(features) ** p
    attention = tf.reduce_sum(powers, axis=-1)
    return tf.math.l2_normalize(tf.reshape(attention, [-1, attention.shape[1] * attention.shape[2]]), axis=-1)


def attention_transfer_loss(
    student_features: Sequence[tf.Tensor], teacher_features: Sequence[tf.Tensor], p: int = 2
) -> tf.Tensor:
    """Returns the sum over the feature points of the mean squared difference of the attention maps (authors' code).

    Args:
        student_features: `[B,H,W,C]` each.
        teacher_features: the same number, with any channels; get no gradient.
        p: the power.
    """
    differences = _differences(student_features, teacher_features, p)
    return tf.add_n([tf.reduce_mean(difference**2) for difference in differences])


def paper_attention_loss(
    student_features: Sequence[tf.Tensor], teacher_features: Sequence[tf.Tensor], p: int = 2
) -> tf.Tensor:
    """Returns half the sum over the points of the length of the difference, a mean over the batch (eq. 2)."""
    differences = _differences(student_features, teacher_features, p)
    return 0.5 * tf.add_n([tf.reduce_mean(_length(difference)) for difference in differences])


def _differences(students: Sequence[tf.Tensor], teachers: Sequence[tf.Tensor], p: int) -> list[tf.Tensor]:
    pairs = [
        pool_to_smaller(in_float32(student), constant(teacher))
        for student, teacher in zip(students, teachers, strict=True)
    ]
    return [attention_map(student, p) - attention_map(teacher, p) for student, teacher in pairs]


def _length(vectors: tf.Tensor) -> tf.Tensor:
    # The square root has no gradient at 0, where the two maps are equal.
    squared = tf.reduce_sum(vectors**2, axis=-1)
    positive = squared > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, squared, 1)), 0)


class AttentionTransfer(Distiller):
    """One stage: cross-entropy + beta * attention loss on the maps that all points pass to the next layer (`passed`).

    With `area_scaling`, the beta of `distance=code` is multiplied by the area ratio of the maps. The length in the
    paper does not depend on the size of the maps.
    """

    min_points = 1

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        beta: NonNegative,
        power: PositiveInt,
        distance: Literal["code", "paper"],
        area_scaling: bool,
    ) -> None:
        super().__init__(student, teacher)
        self.beta = beta
        if area_scaling and distance == "code":
            self.adjust("beta", beta, beta * area_ratio(student, teacher))
        self.power = power
        self.loss_function = attention_transfer_loss if distance == "code" else paper_attention_loss

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted difference of the attention maps."""
        return self.beta * self.loss_function(batch.student["passed"], batch.teacher["passed"], self.power)
