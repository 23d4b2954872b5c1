"""DIST: Huang, You, Wang, Qian, Xu, "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, arXiv:2205.10536.

The student's class probabilities should correlate with the teacher's, not equal them: within each image, over the
classes, and for each class, over the images of the batch. The images are those of the global batch, so that replicas do
not change the relation.

Pearson's correlation has no value where one side is constant. The authors add 1e-8 to the product of the two lengths.
Here each length is at least 1e-4: constant probabilities have the correlation 0, and their gradient is bounded.
"""

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.tensors import centred, constant, global_batch, in_float32, require_same_shape


def inter_class_loss(student_logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 4.0) -> tf.Tensor:
    """Returns T**2 * (1 - correlation of the probabilities of all classes), a mean over the batch (eq. 8).

    Args:
        student_logits: `[B,K]`.
        teacher_logits: `[B,K]`; gets no gradient.
        temperature: T, above 0.
    """
    return _correlation_loss(student_logits, teacher_logits, temperature, axis=1)


def intra_class_loss(student_logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 4.0) -> tf.Tensor:
    """Returns T**2 * (1 - correlation of a class's probabilities over the batch), a mean over the classes (eq. 9).

    Args:
        student_logits: `[B,K]`.
        teacher_logits: `[B,K]`; gets no gradient.
        temperature: T, above 0.
    """
    return _correlation_loss(student_logits, teacher_logits, temperature, axis=0)


def _correlation_loss(student_logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float, axis: int) -> tf.Tensor:
    student_logits, teacher_logits = in_float32(student_logits), constant(teacher_logits)
    require_same_shape("dist", student_logits, teacher_logits)
    student, teacher = (
        centred(tf.nn.softmax(logits / temperature), axis) for logits in (student_logits, teacher_logits)
    )
    return temperature**2 * (1 - tf.reduce_mean(tf.reduce_sum(student * teacher, axis)))


class CorrelationDistillation(Distiller):
    """One stage: cross-entropy + inter_weight * inter_class_loss + intra_weight * intra_class_loss."""

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        inter_weight: NonNegative,
        intra_weight: NonNegative,
        temperature: Positive,
    ) -> None:
        super().__init__(student, teacher)
        self.inter_weight = inter_weight
        self.intra_weight = intra_weight
        self.temperature = temperature

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted losses on the global batch, the same on every replica."""
        student, teacher = (global_batch(in_float32(outputs["logits"])) for outputs in (batch.student, batch.teacher))
        inter = inter_class_loss(student, teacher, self.temperature)
        intra = intra_class_loss(student, teacher, self.temperature)
        return self.inter_weight * inter + self.intra_weight * intra
