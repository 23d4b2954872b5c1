"""Residual networks for ImageNet: He et al., "Deep Residual Learning", CVPR 2016, table 1, arXiv:1512.03385.

The form of torchvision, which papers on distillation use: the stem is a 7x7 convolution and a 3x3 max-pooling, both of
stride 2, and a bottleneck block has its stride in its 3x3 convolution.

The feature points are those of `kd_bench.networks.resnet`: at the end of a group, `pre` is the residual sum, `post` and
`passed` are after its ReLU. Of 224x224 images, the maps of the four groups measure 56, 28, 14 and 7 pixels.
"""

from collections.abc import Mapping
from typing import Any, Literal

import keras

from kd_bench.checks import PositiveInt
from kd_bench.layers import Padding, batch_norm, classifier, convolved, max_pooled, pointwise
from kd_bench.networks.points import require_points
from kd_bench.networks.pytorch_modules import CLASSIFIER, Built, Modules, normed, numbered
from kd_bench.networks.sizes import require_size

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Depth -> blocks of each group."""

_FIRST_BOTTLENECK = 50
_WIDENING = 4
"""A bottleneck block returns so many times the channels of its 3x3 convolution."""


def imagenet_resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Literal[18, 34, 50, 101, 152],
    stem_channels: PositiveInt,
    points: list[PositiveInt],
    padding: Padding,
) -> keras.Model:
    """Builds a ResNet of four groups: of basic blocks, or from 50 layers on of bottleneck blocks.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        depth: as in the paper.
        stem_channels: channels of the first convolution; group g has stem_channels * 2**g, times 4 with bottlenecks.
        points: the groups that end in a feature point, counted from 1.
        padding: of the strided layers; `symmetric` in torchvision.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` for each of `points`: `pre` is the residual sum that ends the group, `post` and
        `passed` are that sum after its ReLU.

    Raises:
        ConfigError: the points are not groups from 1 to 4 in rising order, or the images are too small.
    """
    require_points(points, len(BLOCKS[depth]))
    require_size(input_shape, [2, 2, 2, 2, 2])
    residual = _bottleneck if depth >= _FIRST_BOTTLENECK else _basic
    images = keras.Input(input_shape)
    stem = keras.layers.ReLU()(batch_norm()(convolved(images, stem_channels, 7, 2, padding)))
    activated = max_pooled(stem, 3, 2, padding)
    sums, activations = [], []
    for group, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            stride = 2 if group > 0 and block == 0 else 1
            added = residual(activated, stem_channels * 2**group, stride, padding)
            summed = keras.layers.Add()([_shortcut(activated, added, stride), added])
            activated = keras.layers.ReLU()(summed)
        if group + 1 in points:
            sums.append(summed)
            activations.append(activated)
    embedding = keras.layers.GlobalAveragePooling2D()(activated)
    maps = {"pre": sums, "post": activations, "passed": list(activations)}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **maps})


def _basic(features: keras.KerasTensor, channels: int, stride: int, padding: Padding) -> keras.KerasTensor:
    """Returns what a block of two 3x3 convolutions adds to its shortcut."""
    inner = keras.layers.ReLU()(batch_norm()(convolved(features, channels, 3, stride, padding)))
    return batch_norm()(convolved(inner, channels, 3, 1, padding))


def _bottleneck(features: keras.KerasTensor, channels: int, stride: int, padding: Padding) -> keras.KerasTensor:
    """Returns what a block of a 1x1, a 3x3 and a 1x1 convolution adds to its shortcut."""
    inner = keras.layers.ReLU()(batch_norm()(pointwise(features, channels, 1)))
    inner = keras.layers.ReLU()(batch_norm()(convolved(inner, channels, 3, stride, padding)))
    return batch_norm()(pointwise(inner, _WIDENING * channels, 1))


def _shortcut(features: keras.KerasTensor, added: keras.KerasTensor, stride: int) -> keras.KerasTensor:
    if stride == 1 and features.shape[-1] == added.shape[-1]:
        return features
    return batch_norm()(pointwise(features, added.shape[-1], stride))


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in torchvision, by the parameters of ours."""
    return Modules(numbered(_modules(parameters["depth"])), {"padding": "symmetric"})


def _modules(depth: int) -> Built:
    convolutions = 3 if depth >= _FIRST_BOTTLENECK else 2
    yield from normed("conv1", "bn1")
    for group, blocks in enumerate(BLOCKS[depth], start=1):
        for block in range(blocks):
            place = f"layer{group}.{block}"
            for number in range(1, convolutions + 1):
                yield from normed(f"{place}.conv{number}", f"{place}.bn{number}")
            if block == 0 and (group > 1 or depth >= _FIRST_BOTTLENECK):
                yield from normed(f"{place}.downsample.0", f"{place}.downsample.1")
    yield CLASSIFIER, "fc"
