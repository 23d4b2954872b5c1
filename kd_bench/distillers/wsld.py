"""WSLD: Zhou et al., "Rethinking Soft Labels for Knowledge Distillation", ICLR 2021, arXiv:2102.00650.

Soft logits regularise. They harm on images that the student already knows better than the teacher does, so each image
has its own weight: small if the student's cross-entropy is small compared with the teacher's.

The constants are the authors' for CIFAR-100 (issue 2 of their repository, section 5 of the paper); their code is for
ImageNet, with other ones. It has the cross-entropy with the soft labels where here is the divergence: the gradient is
the same, because the weights are constants. It also keeps the teacher in training mode; here it is in inference mode.
"""

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.soft_logits import kl_divergence
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape

_EPSILON = 1e-7
"""Added to the teacher's cross-entropy, which can be 0 (authors' code)."""


def wsld_loss(
    student_logits: tf.Tensor, teacher_logits: tf.Tensor, labels: tf.Tensor, temperature: float = 4.0
) -> tf.Tensor:
    """Returns T**2 * the mean over the batch of weight * KL(softmax(teacher / T) || softmax(student / T)).

    Args:
        student_logits: `[B,K]`.
        teacher_logits: `[B,K]`; gets no gradient.
        labels: `[B]` integers.
        temperature: T, above 0.

    Raises:
        ValueError: the shapes differ.
    """
    student_logits, teacher_logits = in_float32(student_logits), constant(teacher_logits)
    require_same_shape("wsld_loss", student_logits, teacher_logits)
    weights = image_weights(student_logits, teacher_logits, labels)
    return temperature**2 * kl_divergence(teacher_logits / temperature, student_logits / temperature, weights)


def image_weights(student_logits: tf.Tensor, teacher_logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns 1 - exp(-CE(student) / CE(teacher)) of each image, `[B]`, in [0, 1); it gets no gradient.

    Args:
        student_logits: `[B,K]`.
        teacher_logits: `[B,K]`.
        labels: `[B]` integers.
    """
    student, teacher = (
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, constant(logits))
        for logits in (student_logits, teacher_logits)
    )
    return 1 - tf.exp(-student / (teacher + _EPSILON))


class WeightedSoftLabels(Distiller):
    """One stage: cross-entropy + alpha * wsld_loss."""

    supports_mixed_images = False

    def __init__(
        self, student: keras.Model, teacher: keras.Model, *, alpha: NonNegative, temperature: Positive
    ) -> None:
        super().__init__(student, teacher)
        self.alpha = alpha
        self.temperature = temperature

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted loss."""
        logits = batch.student["logits"], batch.teacher["logits"]
        return self.alpha * wsld_loss(*logits, batch.labels, self.temperature)
