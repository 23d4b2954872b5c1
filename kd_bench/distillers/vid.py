"""Variational information distillation: Ahn, Hu, Damianou, Lawrence, Dai, CVPR 2019, arXiv:1904.05835.

The student maximises a lower bound of the mutual information between its features and the teacher's. A Gaussian
predicts the teacher's map: its mean is a small network on the student's map, its variance one learned number per
channel.

It follows RepDistiller, the port that trains both mean and variance: a mean over channels and space, and one weight for
all layers; the paper has sums and a tuned weight per layer. Our own choice: no weight decay on the variances, which it
would pull to 0.69.
"""

import math

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.connectors import require_same_sizes
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape
from kd_bench.errors import ConfigError
from kd_bench.layers import convolution


def vid_loss(
    predicted_mean: tf.Tensor, raw_variance: tf.Tensor, teacher_feature: tf.Tensor, eps: float = 1e-5
) -> tf.Tensor:
    """Returns half the mean of (t - mean)**2 / variance + log variance, variance = softplus(raw_variance) + eps.

    The negative log-likelihood without its constant; it can be negative.

    Args:
        predicted_mean: `[B,H,W,C]`.
        raw_variance: `[C]`, shared by all positions.
        teacher_feature: t, `[B,H,W,C]`; gets no gradient.
        eps: the smallest variance.

    Raises:
        ValueError: the shapes differ.
    """
    predicted_mean, teacher_feature = in_float32(predicted_mean), constant(teacher_feature)
    require_same_shape("vid_loss", predicted_mean, teacher_feature)
    # log(1 + exp(raw)) itself overflows in float32 above 88.
    variance = tf.nn.softplus(in_float32(raw_variance)) + eps
    # The mean over positions comes first, so that few operations read a whole map.
    squared_error = tf.reduce_mean(tf.math.squared_difference(teacher_feature, predicted_mean), axis=[0, 1, 2])
    return 0.5 * tf.reduce_mean(squared_error / variance + tf.math.log(variance))


def vid_initial_raw_variance(init_var: float = 5.0, eps: float = 1e-5) -> float:
    """Returns the raw variance whose variance is `init_var`: log(expm1(init_var - eps)).

    Raises:
        ConfigError: `init_var` is not above `eps`.
    """
    if init_var <= eps:
        raise ConfigError(f"method.initial_variance={init_var:g}: must be above method.eps={eps:g}.")
    return init_var - eps + math.log(-math.expm1(eps - init_var))


def mean_network(student: keras.KerasTensor, teacher: keras.KerasTensor) -> keras.Model:
    """Returns the mean's model: three 1x1 convolutions with the teacher's channels, ReLUs between, no bias, no norm.

    Args:
        student: the student's symbolic feature map, `[B,H,W,C_s]`.
        teacher: the teacher's, `[B,H,W,C_t]`.
    """
    channels = teacher.shape[-1]
    features = hidden = keras.Input(student.shape[1:], dtype=student.dtype)
    for _ in range(2):
        hidden = keras.layers.ReLU()(convolution(channels, 1)(hidden))
    return keras.Model(features, convolution(channels, 1)(hidden))


class VariationalInformation(Distiller):
    """One stage: cross-entropy + weight * the sum over the feature points of vid_loss on the `passed` maps."""

    min_points = 1

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        initial_variance: Positive,
        eps: Positive,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        self.eps = eps
        student_maps, teacher_maps = student.output["passed"], teacher.output["passed"]
        require_same_sizes("VID", student_maps, teacher_maps)
        start = keras.initializers.Constant(vid_initial_raw_variance(initial_variance, eps))
        self.mean_networks = [mean_network(*maps) for maps in zip(student_maps, teacher_maps, strict=True)]
        self.raw_variances = [
            self.add_weight(shape=(target.shape[-1],), initializer=start, name=f"raw_variance_{index}")
            for index, target in enumerate(teacher_maps)
        ]
        self.trained = [*self.mean_networks, *self.raw_variances]
        self.no_weight_decay = self.raw_variances

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted sum over the feature points."""
        losses = []
        pairs = zip(batch.student["passed"], batch.teacher["passed"], strict=True)
        for pair, network, raw_variance in zip(pairs, self.mean_networks, self.raw_variances, strict=True):
            student_map, teacher_map = pair
            losses.append(vid_loss(network(student_map, training=True), raw_variance, teacher_map, self.eps))
        return self.weight * tf.add_n(losses)
