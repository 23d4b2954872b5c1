"""Soft logits: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2014, arXiv:1503.02531.

The student learns the labels and the teacher's class distribution, softened by a temperature.

Standardised logits: Sun, Ren, Li, Wang, Cao, "Logit Standardization in Knowledge Distillation", CVPR 2024,
arXiv:2403.01427. The student learns how the teacher ranks and spaces the classes, and not the size of its logits.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive
from kd_bench.distillers.base import Batch, Distiller, Loss
from kd_bench.distillers.tensors import centred, constant, in_float32, require_same_shape


def kl_divergence(target_logits: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Returns the mean over the batch of weights * KL(softmax(target_logits) || softmax(logits)).

    It uses log-softmax on both sides. `keras.losses.kl_divergence` clips probabilities: it is wrong if logits differ by
    more than 16.

    Args:
        target_logits: `[B,K]`.
        logits: `[B,K]`.
        weights: of each sample, `[B]`.
    """
    target_log = tf.nn.log_softmax(target_logits)
    divergence = tf.exp(target_log) * (target_log - tf.nn.log_softmax(logits))
    return tf.reduce_mean(weights * tf.reduce_sum(divergence, axis=-1))


def standardized(logits: tf.Tensor) -> tf.Tensor:
    """Returns (z - mean) / standard deviation of each sample's logits z, over its classes (algorithm 1 of the paper).

    Zeros, with a bounded gradient, where all logits of a sample are equal.

    Args:
        logits: z, `[B,K]`.
    """
    logits = in_float32(logits)
    return logits.shape[-1] ** 0.5 * centred(logits, axis=-1)


def logit_transform(standardize: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns what a method compares: the logits, standardised or as they are."""
    return standardized if standardize else in_float32


def soft_logits_loss(student_logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float = 4.0) -> tf.Tensor:
    """Returns T**2 * KL(softmax(teacher / T) || softmax(student / T)), a mean over the batch.

    The factor T**2 keeps the scale of the gradient independent of the temperature (section 2 of the paper).

    Args:
        student_logits: `[B,K]`.
        teacher_logits: `[B,K]`; gets no gradient.
        temperature: T, above 0.
    """
    student_logits, teacher_logits = in_float32(student_logits), constant(teacher_logits)
    require_same_shape("soft_logits_loss", student_logits, teacher_logits)
    return temperature**2 * kl_divergence(teacher_logits / temperature, student_logits / temperature)


def soft_logits_term(weight: float, temperature: float, standardize: bool = False) -> Loss:
    """Returns weight * soft_logits_loss as a term of a stage, for this method and beside any other."""
    transform = logit_transform(standardize)

    def term(batch: Batch) -> tf.Tensor:
        return weight * soft_logits_loss(
            transform(batch.student["logits"]), transform(batch.teacher["logits"]), temperature
        )

    return term


class SoftLogits(Distiller):
    """One stage: task_weight * cross-entropy + distill_weight * soft_logits_loss."""

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        temperature: Positive,
        task_weight: NonNegative,
        distill_weight: NonNegative,
        standardize: bool = False,
    ) -> None:
        super().__init__(student, teacher)
        self.task_weight = task_weight
        self.soft_targets = soft_logits_term(distill_weight, temperature, standardize)

    def task_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted cross-entropy."""
        return self.task_weight * super().task_loss(batch)

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted divergence from the teacher's soft targets."""
        return self.soft_targets(batch)
