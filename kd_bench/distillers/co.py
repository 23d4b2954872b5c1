"""CO: Heo et al., "A Comprehensive Overhaul of Feature Distillation", ICCV 2019, arXiv:1904.01866; also called OFD.

The student matches the teacher's features before the ReLU, through a connector. Negative values of the teacher are cut
off at the mean negative value of their channel. Where the target is negative and the student is even lower, there is no
loss, because the ReLU removes both. As in the authors' code, the teacher's batch norm uses batch statistics; in the TF2
repository it uses moving statistics (`teacher_statistics=inference`).
"""

from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import norm

from kd_bench.checks import NonNegative
from kd_bench.distillers.base import Batch, Distiller, Outputs
from kd_bench.distillers.connectors import connectors, require_same_sizes
from kd_bench.distillers.scaling import area_ratio
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape
from kd_bench.errors import ConfigError

_SMALLEST_TAIL = 1e-3
_SMALLEST_DEVIATION = 1e-6


def margin_from_bn(gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Returns each channel's mean negative value, E[x | x < 0] of x ~ N(beta, gamma**2).

    beta - s * phi(beta / s) / Phi(-beta / s), where s = |gamma|; -3 * s where less than 1 in 1000 is negative (authors'
    code, which makes the margin jump there: -0.28 s at beta = 3.09 s, -3 s at 3.1 s).

    Args:
        gamma: a batch norm's scale, `[C]`.
        beta: its offset, `[C]`.

    Returns:
        `[C]` float64, below 0.
    """
    deviation = np.maximum(np.abs(np.asarray(gamma, np.float64)), _SMALLEST_DEVIATION)
    mean = np.asarray(beta, np.float64)
    negative = norm.cdf(-mean / deviation)
    truncated = mean - deviation * norm.pdf(mean / deviation) / np.maximum(negative, _SMALLEST_TAIL)
    return np.where(negative > _SMALLEST_TAIL, truncated, -3 * deviation)


def partial_l2(student: tf.Tensor, teacher: tf.Tensor, margin: np.ndarray) -> tf.Tensor:
    """Returns the squared difference to max(teacher, margin), summed over space and channels, a mean over the batch.

    The target is max(teacher, margin). Terms with student <= target <= 0 are zero.

    Args:
        student: before the ReLU, `[B,H,W,C]`.
        teacher: before the ReLU, the same shape; gets no gradient.
        margin: `[C]`, below 0.

    Raises:
        ValueError: the shapes differ.
    """
    student, teacher = in_float32(student), constant(teacher)
    require_same_shape("partial_l2", student, teacher)
    target = tf.maximum(teacher, tf.cast(margin, teacher.dtype))
    counts = (student > target) | (target > 0)
    differences = tf.where(counts, student - target, 0)
    # `l2_loss` is half the sum of squares. It reads the map once, and so does its gradient.
    return 2 * tf.nn.l2_loss(differences) / tf.cast(tf.shape(student)[0], student.dtype)


def co_loss(
    student_features: Sequence[tf.Tensor], teacher_features: Sequence[tf.Tensor], margins: Sequence[np.ndarray]
) -> tf.Tensor:
    """Returns the sum over the points l = 1..n of partial_l2 / 2**(n - l).

    Args:
        student_features: `[B,H,W,C]` each, shallow to deep.
        teacher_features: the same number and shapes; get no gradient.
        margins: one per point, `[C]` each.
    """
    pairs = list(zip(student_features, teacher_features, margins, strict=True))
    return tf.add_n([partial_l2(*pair) / 2 ** (len(pairs) - number) for number, pair in enumerate(pairs, start=1)])


def batch_norm_of(feature: keras.KerasTensor) -> keras.layers.BatchNormalization:
    """Returns the batch norm whose output is a symbolic feature map, or that of the residual branch added to it.

    Raises:
        ConfigError: the map has no such layer.
    """
    layer = feature._keras_history.operation
    if isinstance(layer, keras.layers.Add):
        layer = layer.input[-1]._keras_history.operation
    if not isinstance(layer, keras.layers.BatchNormalization):
        raise ConfigError(
            f"CO: the teacher's `pre` map {feature.shape[1:]} comes from the layer {layer.name}, which is no batch "
            "norm to take margins from; choose another model.teacher."
        )
    return layer


class ComprehensiveOverhaul(Distiller):
    """One stage: cross-entropy + alpha * co_loss on the `pre` maps of all feature points.

    Each map of the student passes a connector (1x1 convolution, batch norm), which is trained with the student and then
    discarded. The loss is a sum over positions: with `area_scaling`, alpha is divided by the area ratio of the maps.
    """

    min_points = 1

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        alpha: NonNegative,
        area_scaling: bool,
        teacher_statistics: Literal["batch", "inference"],
    ) -> None:
        super().__init__(student, teacher)
        self.alpha = alpha
        if area_scaling:
            self.adjust("alpha", alpha, alpha / area_ratio(student, teacher))
        self.teacher_statistics = teacher_statistics
        student_maps, teacher_maps = student.output["pre"], teacher.output["pre"]
        require_same_sizes("CO", student_maps, teacher_maps)
        layers = [batch_norm_of(feature) for feature in teacher_maps]
        self.margins = [margin_from_bn(*_scale_and_offset(layer)) for layer in layers]
        fan_out = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        self.connectors = connectors(student_maps, teacher_maps, always=True, initializer=fan_out)
        self.trained = [self.connectors]
        if teacher_statistics == "batch":
            _normalise_by_batch(teacher)

    def run_teacher(self, images: tf.Tensor) -> Outputs:
        """Returns the frozen teacher's outputs, with the chosen statistics."""
        assert self.teacher is not None
        return self.teacher(images, training=self.teacher_statistics == "batch")

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted partial distance of the connected features."""
        connected = self.connectors(batch.student["pre"], training=True)
        return self.alpha * co_loss(connected, batch.teacher["pre"], self.margins)


def _scale_and_offset(layer: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    gamma = layer.gamma.numpy() if layer.scale else np.ones(layer.moving_mean.shape)
    return gamma, layer.beta.numpy() if layer.center else np.zeros(layer.moving_mean.shape)


def _normalise_by_batch(network: keras.Model) -> None:
    """Lets the batch norms of a frozen network use batch statistics, without changing their moving statistics."""
    for layer in network._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization):
            # Keras uses batch statistics only in trainable layers. No stage trains the variables of these layers.
            layer.trainable = True
            layer.momentum = 1.0
