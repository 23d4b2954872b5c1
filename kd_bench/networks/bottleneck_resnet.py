"""Bottleneck residual networks: He et al., "Deep Residual Learning", CVPR 2016, table 1, arXiv:1512.03385.

ResNet-50 as the distillation benchmarks have it for 32x32 images (RepDistiller, mdistiller: `ResNet50`): the stem is a
3x3 convolution without a pooling, and the stride of a group is that of the 3x3 convolution of its first block.

The feature points are those of `kd_bench.networks.resnet`: at the end of a group, `pre` is the residual sum, `post` and
`passed` are after its ReLU. With the four points, a ResNet-50 pairs with a VGG or a MobileNetV2; [1,2,3] pair it with a
network of three groups.
"""

from collections.abc import Mapping
from typing import Any, Literal

import keras

from kd_bench.checks import PositiveInt
from kd_bench.layers import Padding, batch_norm, classifier, convolved, pointwise
from kd_bench.networks.points import require_points
from kd_bench.networks.pytorch_modules import CLASSIFIER, Built, Modules, normed, numbered
from kd_bench.networks.sizes import require_size

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Depth -> blocks of each group."""

WIDENING = 4
"""A block returns so many times the channels of its 3x3 convolution."""


def bottleneck_resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Literal[50, 101, 152],
    stem_channels: PositiveInt,
    stem_stride: PositiveInt,
    points: list[PositiveInt],
    padding: Padding,
) -> keras.Model:
    """Builds a ResNet of four groups of bottleneck blocks.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        depth: as in the paper.
        stem_channels: channels of the first convolution; group g has stem_channels * 2**g * 4. 64 in the paper.
        stem_stride: stride of the first convolution; 1 for 32x32 images.
        points: the groups that end in a feature point, counted from 1.
        padding: of the strided convolutions.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` for each of `points`: `pre` is the residual sum that ends the group, `post` and
        `passed` are that sum after its ReLU.

    Raises:
        ConfigError: the points are not groups from 1 to 4 in rising order, or the images are too small.
    """
    require_points(points, len(BLOCKS[depth]))
    require_size(input_shape, [stem_stride, 2, 2, 2])
    images = keras.Input(input_shape)
    activated = keras.layers.ReLU()(batch_norm()(convolved(images, stem_channels, 3, stem_stride, padding)))
    sums, activations = [], []
    for group, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            stride = 2 if group > 0 and block == 0 else 1
            summed = _block(activated, stem_channels * 2**group, stride, padding)
            activated = keras.layers.ReLU()(summed)
        if group + 1 in points:
            sums.append(summed)
            activations.append(activated)
    embedding = keras.layers.GlobalAveragePooling2D()(activated)
    maps = {"pre": sums, "post": activations, "passed": list(activations)}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **maps})


def _block(features: keras.KerasTensor, channels: int, stride: int, padding: Padding) -> keras.KerasTensor:
    """Adds three convolutions, each with its batch norm, to the shortcut; the caller applies the ReLU."""
    residual = keras.layers.ReLU()(batch_norm()(pointwise(features, channels, 1)))
    residual = keras.layers.ReLU()(batch_norm()(convolved(residual, channels, 3, stride, padding)))
    residual = batch_norm()(pointwise(residual, WIDENING * channels, 1))
    same_shape = stride == 1 and features.shape[-1] == WIDENING * channels
    carried = features if same_shape else batch_norm()(pointwise(features, WIDENING * channels, stride))
    return keras.layers.Add()([carried, residual])


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in RepDistiller's and mdistiller's code, by the parameters of ours."""
    return Modules(numbered(_modules(parameters)), {"padding": "symmetric", "stem_stride": 1})


def _modules(parameters: Mapping[str, Any]) -> Built:
    yield from normed("conv1", "bn1")
    for group, blocks in enumerate(BLOCKS[parameters["depth"]], start=1):
        for block in range(blocks):
            place = f"layer{group}.{block}"
            for number in (1, 2, 3):
                yield from normed(f"{place}.conv{number}", f"{place}.bn{number}")
            if block == 0:
                yield from normed(f"{place}.shortcut.0", f"{place}.shortcut.1")
    yield CLASSIFIER, "linear"
