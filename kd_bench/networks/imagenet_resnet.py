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
from kd_bench.layers import Padding, convolved, max_pooled, normed_relu
from kd_bench.networks.points import require_points
from kd_bench.networks.pytorch_modules import Modules, numbered
from kd_bench.networks.residual_groups import GROUPS, residual_modules, residual_network
from kd_bench.networks.sizes import require_size


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
    require_points(points, GROUPS)
    require_size(input_shape, [2, 2, 2, 2, 2])
    images = keras.Input(input_shape)
    stem = max_pooled(normed_relu(convolved(images, stem_channels, 7, 2, padding)), 3, 2, padding)
    return residual_network(
        images, stem, num_classes, depth=depth, channels=stem_channels, points=points, padding=padding
    )


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in torchvision, by the parameters of ours."""
    built = residual_modules(parameters["depth"], shortcut="downsample", last="fc")
    return Modules(numbered(built), {"padding": "symmetric"})
