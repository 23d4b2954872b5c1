"""CC: Peng et al., "Correlation Congruence for Knowledge Distillation", ICCV 2019, arXiv:1904.01802.

Linear embeddings of student and teacher get the same correlations between the images of a batch. Both embeddings are
trained with the student. The images are those of the global batch, so that replicas do not change the correlations.

The paper compares matrices of a Gaussian kernel, as a Taylor series. The code that the authors gave to RepDistiller
compares something else: it multiplies the distance of an image with that of the next one.
"""

import math
from typing import Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive, PositiveInt
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.connectors import linear_embedding
from kd_bench.distillers.tensors import global_batch, in_float32, require_same_shape


def neighbour_loss(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns the mean over i of sum_d |s_i - t_i|_d * |s_(i+1) - t_(i+1)|_d, for images next to each other (code).

    Args:
        student: s, `[B,D]`, of B > 1 images.
        teacher: t, `[B,D]`; its embedding is trained, so it gets a gradient.

    Raises:
        ValueError: the shapes differ.
    """
    student, teacher = in_float32(student), in_float32(teacher)
    require_same_shape("neighbour_loss", student, teacher)
    distances = tf.abs(student - teacher)
    return tf.reduce_mean(tf.reduce_sum(distances[:-1] * distances[1:], axis=-1))


def correlation_loss(student: tf.Tensor, teacher: tf.Tensor, gamma: float = 0.4, order: int = 2) -> tf.Tensor:
    """Returns the mean over all pairs of images of the squared difference of their correlations (eq. 6 of the paper).

    Args:
        student: `[B,D]`.
        teacher: `[B,D']`; gets a gradient.
        gamma: see `correlations`.
        order: see `correlations`.

    Raises:
        ValueError: the batches differ in size.
    """
    student, teacher = (correlations(in_float32(embedding), gamma, order) for embedding in (student, teacher))
    require_same_shape("correlation_loss", student, teacher)
    return tf.reduce_mean(tf.math.squared_difference(student, teacher))


def correlations(embeddings: tf.Tensor, gamma: float, order: int) -> tf.Tensor:
    """Returns exp(-2 gamma) * sum_p (2 gamma)**p / p! * (x . y)**p over p up to `order`, for all pairs, `[B,B]`.

    It is the Taylor series of the Gaussian kernel exp(-gamma |x - y|**2) of unit vectors (eq. 9 of the paper).

    Args:
        embeddings: `[B,D]`; brought to unit length.
        gamma: above 0.
        order: the highest power.
    """
    directions = tf.math.l2_normalize(embeddings, axis=-1)
    products = tf.matmul(directions, directions, transpose_b=True)
    terms = [(2 * gamma) ** power / math.factorial(power) * products**power for power in range(1, order + 1)]
    return math.exp(-2 * gamma) * (1 + tf.add_n(terms))


class CorrelationCongruence(Distiller):
    """One stage: cross-entropy + weight * correlation_loss, or neighbour_loss, of linear embeddings."""

    needs_embedding = True

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        form: Literal["code", "paper"],
        size: PositiveInt,
        gamma: Positive,
        order: PositiveInt,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        self.loss_function = neighbour_loss if form == "code" else lambda s, t: correlation_loss(s, t, gamma, order)
        self.embeddings = [linear_embedding(network.output["embedding"], size) for network in (student, teacher)]
        self.trained = self.embeddings

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted loss on the global batch, the same on every replica."""
        outputs = batch.student["embedding"], tf.stop_gradient(batch.teacher["embedding"])
        pairs = zip(self.embeddings, outputs, strict=True)
        student, teacher = (global_batch(in_float32(embedding(output))) for embedding, output in pairs)
        return self.weight * self.loss_function(student, teacher)
