"""SP: Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, arXiv:1907.09682.

Images that activate the teacher alike should activate the student alike: the matrices of the similarities of all pairs
of a batch are matched. There is no connector: maps may differ in size and channels. The pairs are those of the global
batch, so that replicas do not change them.

The loss falls as 1 / B: see `scaling.py`. It does not depend on the size of the maps, because the rows of the
matrices have length 1.
"""

from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from kd_bench.checks import NonNegative
from kd_bench.distillers.base import Batch, Distiller, Outputs
from kd_bench.distillers.scaling import batch_ratio
from kd_bench.distillers.tensors import constant, global_batch, in_float32, require_same_shape


def similarity_loss(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns the mean squared difference of the similarities, over all B**2 pairs.

    Args:
        student: `[B,...]`.
        teacher: `[B,...]`, of any other shape; gets no gradient.

    Raises:
        ValueError: the batches differ in size.
    """
    student, teacher = similarities(in_float32(student)), similarities(constant(teacher))
    require_same_shape("similarity_loss", student, teacher)
    return tf.reduce_mean((student - teacher) ** 2)


def similarities(features: tf.Tensor) -> tf.Tensor:
    """Returns the inner products of all pairs of samples, each row of unit length; zeros for a sample of zeros.

    Args:
        features: `[B,...]`.

    Returns:
        `[B,B]`.
    """
    flat = tf.reshape(features, [tf.shape(features)[0], -1])
    return tf.math.l2_normalize(tf.matmul(flat, flat, transpose_b=True), axis=-1)


class SimilarityPreserving(Distiller):
    """One stage: cross-entropy + weight * similarity_loss of the maps that the feature points pass on (`passed`).

    `points` says of which ones: the last one, or the sum over all. With `batch_scaling`, the weight is multiplied by
    the batch size relative to the published one.
    """

    min_points = 1

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        points: Literal["last", "all"],
        batch_scaling: bool,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        self.points = slice(-1, None) if points == "last" else slice(None)
        self.batch_scaling = batch_scaling

    def prepare(self, labels: np.ndarray, batch_size: int) -> None:
        """Scales the weight to the batch."""
        if self.batch_scaling:
            self.adjust("weight", self.weight, self.weight * batch_ratio(batch_size))

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted loss on the global batch, the same on every replica."""
        students, teachers = (self._maps(outputs) for outputs in (batch.student, batch.teacher))
        losses = [similarity_loss(*maps) for maps in zip(students, teachers, strict=True)]
        return self.weight * tf.add_n(losses)

    def _maps(self, outputs: Outputs) -> list[tf.Tensor]:
        return [global_batch(in_float32(features)) for features in outputs["passed"][self.points]]
