"""DKD: Zhao, Cui, Song, Qiu, Liang, "Decoupled Knowledge Distillation", CVPR 2022, arXiv:2203.08679.

The divergence of soft logits is a sum of two: that of the label against all other classes, and that among the other
classes, which counts less the surer the teacher is of the label. Here each has a weight of its own.
"""

import keras
import tensorflow as tf

from kd_bench.checks import ExactShare, NonNegative, Positive
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.soft_logits import kl_divergence, logit_transform
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape
from kd_bench.distillers.warmup import warmup

_WARMUP_EPOCHS = 20
_LOWEST = -1e9
"""A logit whose probability is 0. With minus infinity, the divergence would not be a number."""


def dkd_loss(
    student_logits: tf.Tensor,
    teacher_logits: tf.Tensor,
    labels: tf.Tensor,
    alpha: float = 1.0,
    beta: float = 6.0,
    temperature: float = 4.0,
) -> tf.Tensor:
    """Returns T**2 * (alpha * KL(b_t || b_s) + beta * KL(q_t || q_s)), a mean over the batch.

    With p = softmax(logits / T) and the label y, b is [p_y, 1 - p_y], and q is p / (1 - p_y) without the entry y.

    Args:
        student_logits: `[B,K]`.
        teacher_logits: `[B,K]`; gets no gradient.
        labels: y, `[B]` integers.
        alpha: the weight of the label's part.
        beta: the weight of the other classes' part.
        temperature: T, above 0.

    Raises:
        ValueError: the shapes differ.
    """
    student_logits, teacher_logits = in_float32(student_logits), constant(teacher_logits)
    require_same_shape("dkd_loss", student_logits, teacher_logits)
    student_label, student_others = decoupled(student_logits / temperature, labels)
    teacher_label, teacher_others = decoupled(teacher_logits / temperature, labels)
    return temperature**2 * (
        alpha * kl_divergence(teacher_label, student_label) + beta * kl_divergence(teacher_others, student_others)
    )


def decoupled(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the logits of the two distributions b and q of `dkd_loss`: `[B,2]`, and `[B,K]` without the label.

    Logarithms of sums, and no sums of probabilities, so that a network that is sure has a finite loss.

    Args:
        logits: `[B,K]`.
        labels: `[B]` integers.
    """
    is_label = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False)
    label = tf.reduce_sum(tf.where(is_label, logits, 0), axis=-1)
    others = tf.where(is_label, tf.constant(_LOWEST, logits.dtype), logits)
    return tf.stack([label, tf.reduce_logsumexp(others, axis=-1)], axis=-1), others


class DecoupledDistillation(Distiller):
    """One stage: cross-entropy + dkd_loss, whose weight rises from epoch to epoch; the authors count epochs from 1."""

    supports_mixed_images = False

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        alpha: NonNegative,
        beta: NonNegative,
        temperature: Positive,
        warmup_share: ExactShare,
        standardize: bool = False,
    ) -> None:
        super().__init__(student, teacher)
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature
        self.warmup_share = warmup_share
        self.transform = logit_transform(standardize)

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the loss by its weight at this time of the stage."""
        logits = self.transform(batch.student["logits"]), self.transform(batch.teacher["logits"])
        loss = dkd_loss(*logits, batch.labels, self.alpha, self.beta, self.temperature)
        return warmup(batch, self.warmup_share, _WARMUP_EPOCHS) * loss
