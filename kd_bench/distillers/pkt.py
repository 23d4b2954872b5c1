"""PKT: Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018.

How similar an image is to each image of the batch, relative to all of them, is a probability distribution. The student
matches the teacher's distributions. There is no connector: the embeddings may differ in size. The images are those of
the global batch, so that replicas do not change the distributions.

arXiv:1803.10837. The loss is the one of the authors' code: a mean over all B**2 pairs, also of an image with itself. It
falls as 1 / B: see `scaling.py`.
"""

from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from kd_bench.checks import NonNegative
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.scaling import batch_ratio
from kd_bench.distillers.tensors import constant, global_batch, in_float32, require_same_shape

_EPSILON = 1e-7
"""Added to the probabilities in the logarithm (authors' code): the similarity of opposite samples is 0."""


def pkt_loss(student: tf.Tensor, teacher: tf.Tensor, divergence: Literal["kl", "jeffreys"] = "kl") -> tf.Tensor:
    """Returns the divergence of the distributions of neighbours, a mean over all B**2 pairs.

    Args:
        student: `[B,D_s]`.
        teacher: `[B,D_t]`; gets no gradient.
        divergence: `kl`, KL(teacher || student), or `jeffreys`, which adds KL(student || teacher).

    Raises:
        ValueError: the batches differ in size.
    """
    student, teacher = neighbour_probabilities(in_float32(student)), neighbour_probabilities(constant(teacher))
    require_same_shape("pkt_loss", student, teacher)
    log_ratio = tf.math.log((teacher + _EPSILON) / (student + _EPSILON))
    return tf.reduce_mean((teacher if divergence == "kl" else teacher - student) * log_ratio)


def neighbour_probabilities(embeddings: tf.Tensor) -> tf.Tensor:
    """Returns (1 + cosine) / 2 of all pairs of samples, divided by each row's sum.

    Args:
        embeddings: `[B,D]`; a sample of zeros has the cosine 0 with all.

    Returns:
        `[B,B]`.
    """
    directions = tf.math.l2_normalize(embeddings, axis=-1)
    similarities = (tf.matmul(directions, directions, transpose_b=True) + 1) / 2
    return similarities / tf.reduce_sum(similarities, axis=-1, keepdims=True)


class ProbabilisticTransfer(Distiller):
    """One stage: cross-entropy + weight * pkt_loss.

    With `batch_scaling`, the weight is multiplied by the batch size relative to the published one.
    """

    needs_embedding = True

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        divergence: Literal["kl", "jeffreys"],
        batch_scaling: bool,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        self.divergence = divergence
        self.batch_scaling = batch_scaling

    def prepare(self, labels: np.ndarray, batch_size: int) -> None:
        """Scales the weight to the batch."""
        if self.batch_scaling:
            self.adjust("weight", self.weight, self.weight * batch_ratio(batch_size))

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted loss on the global batch, the same on every replica."""
        embeddings = (outputs["embedding"] for outputs in (batch.student, batch.teacher))
        student, teacher = (global_batch(in_float32(rows)) for rows in embeddings)
        return self.weight * pkt_loss(student, teacher, self.divergence)
