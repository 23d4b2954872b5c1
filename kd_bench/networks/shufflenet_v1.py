"""ShuffleNet: Zhang et al., "An Extremely Efficient Convolutional Neural Network", CVPR 2018, arXiv:1707.01083.

As the distillation benchmarks have it for 32x32 images (RepDistiller, mdistiller: `ShuffleV1`): three groups as wide as
the paper's with g=3. Differs from the paper: the stem is a 1x1 convolution without stride and pooling, a ReLU follows
the depthwise convolution, too, and a block computes with a quarter of the channels that its branch returns.

The feature points lie at the ends of the groups, as in a ResNet: `pre` is the residual sum, `post` and `passed` are
after its ReLU. The batch norm of a point is the last one of the residual branch.
"""

from collections.abc import Mapping
from typing import Any

import keras

from kd_bench.checks import PositiveInt
from kd_bench.errors import ConfigError
from kd_bench.layers import (
    Padding,
    average_pooled,
    batch_norm,
    classifier,
    convolution,
    depthwise,
    normed_relu,
    pointwise_by_parts,
    shuffled,
)
from kd_bench.networks.pytorch_modules import CLASSIFIER, CONVOLUTION, DEPTHWISE, NORM, Built, Modules, normed, numbered
from kd_bench.networks.sizes import require_size

BLOCKS = (4, 8, 4)
"""Blocks of each group; the first one halves the map."""

_NARROWING = 4


def shufflenet_v1(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    stem_channels: PositiveInt,
    channels: PositiveInt,
    parts: PositiveInt,
    padding: Padding,
) -> keras.Model:
    """Builds a ShuffleNet of three groups of shuffling bottleneck blocks.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        stem_channels: channels of the first convolution; 24 in the paper.
        channels: of the first group; the next ones have twice and four times as many. 240 in the paper for 3 parts.
        parts: the parts of a pointwise convolution that are computed apart (g in the paper).
        padding: of the strided convolutions and poolings.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` per group, shallow to deep: `pre` is the residual sum that ends the group, `post`
        and `passed` are that sum after its ReLU.

    Raises:
        ConfigError: the channels cannot be divided into the parts, or the images are too small.
    """
    _require_parts(stem_channels, channels, parts)
    require_size(input_shape, [2] * len(BLOCKS))
    images = keras.Input(input_shape)
    activated = normed_relu(convolution(stem_channels, 1)(images))
    sums, activations = [], []
    for group, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            first = group == block == 0
            stride = 2 if block == 0 else 1
            summed = _block(activated, channels * 2**group, stride, (1 if first else parts, parts), padding)
            activated = keras.layers.ReLU()(summed)
        sums.append(summed)
        activations.append(activated)
    embedding = keras.layers.GlobalAveragePooling2D()(activated)
    maps = {"pre": sums, "post": activations, "passed": list(activations)}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **maps})


def _require_parts(stem_channels: int, channels: int, parts: int) -> None:
    if channels <= stem_channels:
        raise ConfigError(f"channels={channels}: must be above stem_channels={stem_channels}.")
    for returned in (channels - stem_channels, channels):
        if returned % parts or returned // _NARROWING % parts:
            raise ConfigError(
                f"channels={channels}: a branch returns {returned} of them and computes with "
                f"{returned // _NARROWING}; parts={parts} must divide both."
            )


def _block(
    features: keras.KerasTensor, channels: int, stride: int, parts: tuple[int, int], padding: Padding
) -> keras.KerasTensor:
    """Adds a branch to the map; a block with a stride puts it behind the averaged map. The caller applies the ReLU.

    Args:
        features: `[B,H,W,C]`, symbolic.
        channels: of the result.
        stride: 1 or 2.
        parts: of the first and of the last pointwise convolution.
        padding: of the strided layers.
    """
    returned = channels if stride == 1 else channels - features.shape[-1]
    narrow = returned // _NARROWING
    residual = normed_relu(pointwise_by_parts(features, narrow, parts[0]))
    residual = shuffled(residual, parts[0]) if parts[0] > 1 else residual
    residual = normed_relu(depthwise(residual, 3, stride, padding))
    residual = batch_norm()(pointwise_by_parts(residual, returned, parts[1]))
    if stride == 1:
        return keras.layers.Add()([features, residual])
    return keras.layers.Concatenate()([residual, average_pooled(features, 3, stride, padding)])


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in RepDistiller's and mdistiller's code, by the parameters of ours."""
    return Modules(numbered(_modules(parameters)), {"padding": "symmetric"})


def _modules(parameters: Mapping[str, Any]) -> Built:
    yield from normed("conv1", "bn1")
    for group, blocks in enumerate(BLOCKS, start=1):
        for block in range(blocks):
            place, is_first = f"layer{group}.{block}", group == 1 and block == 0
            yield from [(CONVOLUTION, f"{place}.conv1")] * (1 if is_first else parameters["parts"])
            yield NORM, f"{place}.bn1"
            yield from normed(f"{place}.conv2", f"{place}.bn2", DEPTHWISE)
            yield from [(CONVOLUTION, f"{place}.conv3")] * parameters["parts"]
            yield NORM, f"{place}.bn3"
    yield CLASSIFIER, "linear"
