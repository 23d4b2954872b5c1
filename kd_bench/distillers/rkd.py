"""RKD: Park, Kim, Lu, Cho, "Relational Knowledge Distillation", CVPR 2019, arXiv:1904.05068.

The student matches the relations of the samples of a batch: the distances of pairs, relative to the mean distance, and
the angles of triplets. There is no connector: the embeddings may differ in size. The relations are those of the global
batch, so that replicas do not change them.

The paper sums over tuples. The authors' code, RepDistiller and mdistiller take means over all B**2 pairs and B**3
triples, also those that repeat a sample, and the published weights belong to these means. Two equal samples have the
distance 0 here, and 1e-6 there. The TF2 repository uses normalised logits with the weights 100 and 200
(`features=logits normalize=true`); its mean distance includes the diagonal, which is not done here.
"""

from collections.abc import Callable
from typing import Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.tensors import constant, global_batch, in_float32, require_same_shape

_SMALLEST_SQUARED_DISTANCE = 1e-12


def rkd_distance_loss(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns the Huber distance of the relative distances, a mean over all B**2 pairs.

    Args:
        student: `[B,D_s]`.
        teacher: `[B,D_t]`; gets no gradient.

    Raises:
        ValueError: the batches differ in size.
    """
    student, teacher = relative_distances(in_float32(student)), relative_distances(constant(teacher))
    require_same_shape("rkd_distance_loss", student, teacher)
    return tf.reduce_mean(huber(student - teacher))


def rkd_angle_loss(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns the Huber distance of the angles' cosines, a mean over all B**3 triples.

    Args:
        student: `[B,D_s]`.
        teacher: `[B,D_t]`; gets no gradient.

    Raises:
        ValueError: the batches differ in size.
    """
    student, teacher = angles(in_float32(student)), angles(constant(teacher))
    require_same_shape("rkd_angle_loss", student, teacher)
    return tf.reduce_mean(huber(student - teacher))


def relative_distances(embeddings: tf.Tensor) -> tf.Tensor:
    """Returns |x_i - x_j| / mean, with the mean over i != j; zeros if all samples are equal.

    Args:
        embeddings: x, `[B,D]`.

    Returns:
        `[B,B]`.
    """
    distances, _ = _pairs(embeddings)
    samples = tf.cast(tf.shape(embeddings)[0], distances.dtype)
    mean = tf.reduce_sum(distances) / tf.maximum(samples * (samples - 1), 1)
    return distances / tf.where(mean > 0, mean, 1)


def angles(embeddings: tf.Tensor) -> tf.Tensor:
    """Returns the cosine of the angle at x_i between x_j and x_k; zero where one of them equals x_i.

    Args:
        embeddings: x, `[B,D]`.

    Returns:
        `[B,B,B]`, in the order i, j, k.
    """
    _, directions = _pairs(embeddings)
    return tf.matmul(directions, directions, transpose_b=True)


@tf.custom_gradient
def huber(difference: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns difference**2 / 2 for |difference| up to 1, and a linear continuation beyond."""
    # The clipped tensor gives the value and also the gradient. There are B**3 entries, so every operation costs time.
    clipped = tf.clip_by_value(difference, -1.0, 1.0)
    return clipped * (difference - 0.5 * clipped), lambda upstream: upstream * clipped


def _pairs(embeddings: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns |x_j - x_i|, `[B,B]`, and (x_j - x_i) / |x_j - x_i|, `[B,B,D]`; zeros, without gradient, if x_i = x_j."""
    # From the differences, because |x|**2 + |y|**2 - 2xy loses digits where samples are close.
    differences = embeddings[tf.newaxis] - embeddings[:, tf.newaxis]
    squared = tf.reduce_sum(differences**2, axis=-1)
    distinct = squared > _SMALLEST_SQUARED_DISTANCE
    # Masked before and after: the gradient of the root is infinite at 0, and 0 * infinity is NaN.
    lengths = tf.sqrt(tf.where(distinct, squared, 1))
    directions = tf.where(distinct[..., tf.newaxis], differences / lengths[..., tf.newaxis], 0)
    return tf.where(distinct, lengths, 0), directions


class RelationalDistillation(Distiller):
    """One stage: cross-entropy + distance_weight * rkd_distance_loss + angle_weight * rkd_angle_loss."""

    needs_embedding = True

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        distance_weight: NonNegative,
        angle_weight: NonNegative,
        features: Literal["embedding", "logits"],
        normalize: bool,
    ) -> None:
        super().__init__(student, teacher)
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight
        self.features = features
        self.normalize = normalize

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted losses on the global batch, the same on every replica."""
        student, teacher = (self._embeddings(outputs[self.features]) for outputs in (batch.student, batch.teacher))
        distance, angle = rkd_distance_loss(student, teacher), rkd_angle_loss(student, teacher)
        return self.distance_weight * distance + self.angle_weight * angle

    def _embeddings(self, features: tf.Tensor) -> tf.Tensor:
        features = in_float32(features)
        return global_batch(tf.math.l2_normalize(features, axis=-1) if self.normalize else features)
