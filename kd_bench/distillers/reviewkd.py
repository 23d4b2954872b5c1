"""ReviewKD: Chen, Liu, Zhao, Jia, "Distilling Knowledge via Knowledge Review", CVPR 2021, arXiv:2104.09044.

Each level of the teacher is taught to the student's same level and to all deeper ones: from deep to shallow, the
student's maps are fused with the map of the level before, by attention, and each fused map is compared with the
teacher's. The levels are the feature points and, as a map with one position, the embedding.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kd_bench.checks import ExactShare, NonNegative, PositiveInt
from kd_bench.distillers.base import Batch, Distiller, Outputs
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape
from kd_bench.distillers.warmup import warmup
from kd_bench.layers import batch_norm, convolution

_POOLED_SIZES = (4, 2, 1)
_WARMUP_EPOCHS = 20
_INITIALIZER = "lecun_uniform"
"""Uniform with variance 1 / (inputs of a unit), as in the authors' code."""


def hierarchical_context_loss(students: Sequence[tf.Tensor], teachers: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the sum over the levels of context_loss.

    Args:
        students: `[B,H,W,C]` each.
        teachers: of the same shapes; get no gradient.
    """
    return tf.add_n([context_loss(*pair) for pair in zip(students, teachers, strict=True)])


def context_loss(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns the weighted mean of the mean squared differences of two maps, and of the maps pooled to 4x4, 2x2, 1x1.

    The weights are 1, 1/2, 1/4 and 1/8. Only sizes below the map's count.

    Args:
        student: `[B,H,W,C]`.
        teacher: `[B,H,W,C]`; gets no gradient.

    Raises:
        ValueError: the shapes differ.
    """
    student, teacher = in_float32(student), constant(teacher)
    require_same_shape("context_loss", student, teacher)
    sizes = [size for size in _POOLED_SIZES if size < min(student.shape[1:3])]
    difference = student - teacher  # pooling is linear: the difference of pooled maps is the pooled difference
    pooled = [_pooled(difference, size) for size in sizes]
    weights = [0.5**level for level in range(len(sizes) + 1)]
    errors = [weight * tf.reduce_mean(part**2) for weight, part in zip(weights, [difference, *pooled], strict=True)]
    return tf.add_n(errors) / sum(weights)


def review(students: Sequence[keras.KerasTensor], teachers: Sequence[keras.KerasTensor], channels: int) -> keras.Model:
    """Returns a model from the student's levels to maps of the teacher's shapes.

    Args:
        students: the student's symbolic levels, shallow to deep: `[B,H,W,C]` each.
        teachers: the teacher's.
        channels: of all fused maps.
    """
    inputs = [keras.Input(level.shape[1:], dtype=level.dtype) for level in students]
    outputs, deeper = [], None
    for features, target in zip(reversed(inputs), reversed(teachers), strict=True):
        deeper = _resized(_fused(features, deeper, channels), target)
        outputs.append(batch_norm()(convolution(target.shape[-1], 3, initializer=_INITIALIZER)(deeper)))
    return keras.Model(inputs, outputs[::-1])


def levels(outputs: Outputs, maps: str) -> list[tf.Tensor]:
    """Returns a network's levels: its feature maps, and its embedding `[B,D]` as `[B,1,1,D]`, symbolic or not.

    Args:
        outputs: of the network.
        maps: the name of its maps.
    """
    return [*outputs[maps], keras.ops.expand_dims(outputs["embedding"], (1, 2))]


def _pooled(features: tf.Tensor, size: int) -> tf.Tensor:
    if size == 1:  # Keras's pooling fails here.
        return tf.reduce_mean(features, axis=[1, 2], keepdims=True)
    return keras.ops.adaptive_average_pool(features, size, data_format="channels_last")


def _fused(features: keras.KerasTensor, deeper: keras.KerasTensor | None, channels: int) -> keras.KerasTensor:
    """Returns the student's map with `channels` channels, mixed with the deeper fused map at each position."""
    projected = batch_norm()(convolution(channels, 1, initializer=_INITIALIZER)(features))
    if deeper is None:
        return projected
    deeper = _resized(deeper, projected)
    joined = keras.layers.Concatenate()([projected, deeper])
    attention = keras.layers.Conv2D(2, 1, activation="sigmoid")(joined)
    return projected * attention[..., :1] + deeper * attention[..., 1:]


def _resized(features: keras.KerasTensor, target: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the map with the target's height and width, by nearest neighbours."""
    size = tuple(target.shape[1:3])
    return features if tuple(features.shape[1:3]) == size else keras.ops.image.resize(features, size, "nearest")


class KnowledgeReview(Distiller):
    """One stage: cross-entropy + weight * hierarchical_context_loss, with a weight that rises from epoch to epoch.

    As in the authors' code and in mdistiller, the student's levels are the maps that its points pass on (`passed`, in a
    Wide ResNet the residual sums), and the teacher's those before the ReLU (`pre`). The weight is mdistiller's, which
    counts epochs from 1; the authors count from 0, and have no loss in the first epoch.
    """

    min_points = 1
    needs_embedding = True

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        most_channels: PositiveInt,
        warmup_share: ExactShare,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        self.warmup_share = warmup_share
        channels = min(most_channels, student.output["embedding"].shape[-1])
        self.review = review(levels(student.output, "passed"), levels(teacher.output, "pre"), channels)
        self.trained = [self.review]

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the loss by its weight at this time of the stage."""
        student_maps = self.review(levels(batch.student, "passed"), training=True)
        rising = warmup(batch, self.warmup_share, _WARMUP_EPOCHS)
        return rising * self.weight * hierarchical_context_loss(student_maps, levels(batch.teacher, "pre"))
