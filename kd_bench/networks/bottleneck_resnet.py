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
from kd_bench.layers import Padding, convolved, normed_relu
from kd_bench.networks.points import require_points
from kd_bench.networks.pytorch_modules import Modules, numbered
from kd_bench.networks.residual_groups import GROUPS, residual_modules, residual_network
from kd_bench.networks.sizes import require_size


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
    require_points(points, GROUPS)
    require_size(input_shape, [stem_stride, 2, 2, 2])
    images = keras.Input(input_shape)
    stem = normed_relu(convolved(images, stem_channels, 3, stem_stride, padding))
    return residual_network(
        images, stem, num_classes, depth=depth, channels=stem_channels, points=points, padding=padding
    )


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in RepDistiller's and mdistiller's code, by the parameters of ours."""
    built = residual_modules(parameters["depth"], shortcut="shortcut", last="linear")
    return Modules(numbered(built), {"padding": "symmetric", "stem_stride": 1})
