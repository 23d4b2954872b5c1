"""The layers of networks and connectors, with the initialisation and constants of the published protocol."""

import math
from typing import Any, Literal

import keras
import tensorflow as tf

_MAPS_RANK = 4

Padding = Literal["same", "symmetric"]
"""How a strided layer pads a map: `same`, TensorFlow's, with what the last step needs, so that a map of even size gets
its row of zeros at the end only; `symmetric`, PyTorch's, with equally many rows at both ends. They are the same at
stride 1 and for maps of odd size."""


def convolution(
    channels: int, kernel: int, stride: int = 1, initializer: str | keras.Initializer = "he_normal", **options: Any
) -> keras.layers.Layer:
    """Returns a convolution without bias, padded to keep the size; by default He-initialised (He et al. 2015).

    `options` are further arguments of Keras's layer.
    """
    given = {"padding": "same", "use_bias": False, "kernel_initializer": initializer} | options
    return keras.layers.Conv2D(channels, kernel, strides=stride, **given)


def convolved(
    features: keras.KerasTensor, channels: int, kernel: int, stride: int, padding: Padding
) -> keras.KerasTensor:
    """Returns a `convolution` of a map `[B,H,W,C]`, symbolic, with a padding; the kernel's size is odd."""
    features, rest = _padded(features, kernel, stride, padding)
    return convolution(channels, kernel, stride, padding=rest)(features)


def depthwise(features: keras.KerasTensor, kernel: int, stride: int, padding: Padding) -> keras.KerasTensor:
    """Returns the convolution of each channel of a map `[B,H,W,C]`, symbolic, with a kernel of its own, without bias.

    An output reads kernel**2 inputs: that is the fan-in of its He initialisation. Keras's `he_normal` would count the
    other channels, too.
    """
    features, rest = _padded(features, kernel, stride, padding)
    initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2) / kernel)
    return keras.layers.DepthwiseConv2D(
        kernel, strides=stride, padding=rest, use_bias=False, depthwise_initializer=initializer
    )(features)


def average_pooled(features: keras.KerasTensor, kernel: int, stride: int, padding: Padding) -> keras.KerasTensor:
    """Returns the mean of each window of a map `[B,H,W,C]`, symbolic.

    With the padding `symmetric`, zeros at the border count, as in PyTorch; with `same`, they do not.
    """
    features, rest = _padded(features, kernel, stride, padding)
    return keras.layers.AveragePooling2D(kernel, strides=stride, padding=rest)(features)


def max_pooled(features: keras.KerasTensor, kernel: int, stride: int, padding: Padding) -> keras.KerasTensor:
    """Returns the largest value of each window of a map `[B,H,W,C]`, symbolic, without negative values.

    With the padding `symmetric` there are zeros at the border, which are as good there as none.
    """
    features, rest = _padded(features, kernel, stride, padding)
    return keras.layers.MaxPooling2D(kernel, strides=stride, padding=rest)(features)


def _padded(
    features: keras.KerasTensor, kernel: int, stride: int, padding: Padding
) -> tuple[keras.KerasTensor, Literal["same", "valid"]]:
    """Returns what a layer with this kernel reads, and the padding that is left for it to do."""
    if padding == "same" or stride == 1:
        return features, "same"
    return keras.layers.ZeroPadding2D(kernel // 2)(features), "valid"


def pointwise_by_parts(features: keras.KerasTensor, channels: int, parts: int) -> keras.KerasTensor:
    """Returns a 1x1 convolution of a map `[B,H,W,C]`, symbolic, that computes equal parts of the channels apart.

    That is a convolution in groups, of which TensorFlow has no gradient on a CPU except by XLA, which is slower.
    """
    if parts == 1:
        return convolution(channels, 1)(features)
    pieces = keras.ops.split(features, parts, axis=-1)
    return keras.layers.Concatenate()([convolution(channels // parts, 1)(piece) for piece in pieces])


def shuffled(features: keras.KerasTensor, groups: int) -> keras.KerasTensor:
    """Returns a map `[B,H,W,C]`, symbolic, with its channels dealt out from `groups` equal parts in turn.

    Zhang et al., "ShuffleNet", CVPR 2018, section 3.1: channel k of part g becomes channel k * groups + g.
    """
    height, width, channels = features.shape[1:]
    parts = keras.layers.Reshape((height, width, groups, channels // groups))(features)
    return keras.layers.Reshape((height, width, channels))(keras.layers.Permute((1, 2, 4, 3))(parts))


def pointwise(features: keras.KerasTensor, channels: int, stride: int) -> keras.KerasTensor:
    """Returns a 1x1 convolution of a map with a stride, without bias: of the pixels that the stride keeps.

    A strided 1x1 convolution is the same function, but on a CPU its gradient writes past its memory if it has fewer
    than 16 input channels (oneDNN, issue 6035).

    Args:
        features: `[B,H,W,C]`, symbolic.
        channels: of the result.
        stride: 1 keeps all pixels.
    """
    return convolution(channels, 1)(subsampled(features, stride))


def subsampled(features: keras.KerasTensor, stride: int) -> keras.KerasTensor:
    """Returns each stride-th row and column of a map, from the first one on.

    Args:
        features: `[B,H,W,C]`, symbolic.
        stride: 1 keeps the map as it is.
    """
    if stride == 1:
        return features
    # Twice as fast as a slice, whose gradient is slow.
    return keras.layers.AveragePooling2D(pool_size=1, strides=stride, padding="same")(features)


def batch_norm(**options: Any) -> keras.layers.Layer:
    """Returns a batch norm with momentum 0.9 and epsilon 1e-5; its statistics span all replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=replicas > 1, **options)


def normed_relu(features: keras.KerasTensor) -> keras.KerasTensor:
    """Returns a map, symbolic, after a `batch_norm` and a ReLU."""
    return keras.layers.ReLU()(batch_norm()(features))


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer, computed on feature maps by TensorFlow's fused kernel: the same results, faster.

    Keras computes moments, then normalises, one pass over memory for each operation and, in mixed precision, in
    float32. The fused kernel also keeps its statistics in float32 for maps of lower precision.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the normalised maps. Keras computes them if statistics are synchronised or the inputs are vectors."""
        if self.synchronized or len(inputs.shape) != _MAPS_RANK or inputs.dtype == tf.float64:
            return super().call(inputs, training=training, mask=mask)
        if not (training and self.trainable):
            return self._fused(inputs, mean=self.moving_mean, variance=self.moving_variance, is_training=False)[0]
        outputs, mean, variance, *_ = self._fused(inputs, mean=[], variance=[], is_training=True)
        # The kernel's variance is divided by N-1; Keras's moving variance is divided by N.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance * ((count - 1) / count))
        return outputs

    def _fused(self, inputs: tf.Tensor, **options: Any) -> tuple[tf.Tensor, ...]:
        channels = inputs.shape[-1:]
        scale = self.gamma if self.scale else tf.ones(channels)
        offset = self.beta if self.center else tf.zeros(channels)
        return tf.raw_ops.FusedBatchNormV3(x=inputs, scale=scale, offset=offset, epsilon=self.epsilon, **options)

    def _move(self, moving: keras.Variable, value: tf.Tensor) -> None:
        moving.assign(moving * self.momentum + value * (1.0 - self.momentum))


def classifier(num_classes: int) -> keras.layers.Layer:
    """Returns the last layer, which always computes in float32."""
    return keras.layers.Dense(num_classes, dtype="float32", name="logits")
