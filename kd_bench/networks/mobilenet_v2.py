"""MobileNetV2: Sandler et al., "Inverted Residuals and Linear Bottlenecks", CVPR 2018, arXiv:1801.04381.

As the distillation benchmarks have it for 32x32 images (RepDistiller's `mobile_half`, mdistiller's `MobileNetV2`). What
differs from the paper: ReLU in place of ReLU6, stride 1 in the second stage, a pointwise convolution before the
depthwise one in the first stage, too, and no dropout.

The feature points are those of the benchmarks: the ends of the stages 2, 3, 5 and 7. The bottlenecks are linear: `pre`,
`post` and `passed` are all the output of the stage's last block. The batch norm of a point is its block's last one.
"""

from collections.abc import Mapping
from typing import Any

import keras

from kd_bench.checks import Positive, PositiveInt
from kd_bench.layers import Padding, batch_norm, classifier, convolved, depthwise, normed_relu, pointwise
from kd_bench.networks.points import require_points
from kd_bench.networks.pytorch_modules import CLASSIFIER, DEPTHWISE, Built, Modules, normed, numbered
from kd_bench.networks.sizes import require_size

STAGES = ((16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""Channels at width 1, blocks and stride of each stage."""

POINTS = (2, 3, 5, 7)
"""The stages that end in a feature point."""

_STEM_CHANNELS, _LAST_CHANNELS = 32, 1280


def mobilenet_v2(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: Positive,
    expansion: PositiveInt,
    stem_stride: PositiveInt,
    points: list[PositiveInt],
    padding: Padding,
) -> keras.Model:
    """Builds a MobileNetV2 of seven stages of inverted residual blocks.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        width: all channels are those of the paper times this, rounded down; the last 1280 only get more.
        expansion: a block computes with so many times the channels that it reads, in the first stage with as many.
        stem_stride: stride of the first convolution; 2 in the paper and in the benchmarks.
        points: which of the four feature points there are, counted from 1.
        padding: of the strided convolutions.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` for each of `points`, all the output of the stage's last block.

    Raises:
        ConfigError: the points are not numbers from 1 to 4 in rising order, or the images are too small.
    """
    require_points(points, len(POINTS))
    require_size(input_shape, [stem_stride, *(stride for _, _, stride in STAGES)])
    images = keras.Input(input_shape)
    features = normed_relu(convolved(images, max(1, int(_STEM_CHANNELS * width)), 3, stem_stride, padding))
    ends = []
    for stage, (channels, blocks, stride) in enumerate(STAGES, start=1):
        for block in range(blocks):
            widened = features.shape[-1] * (expansion if stage > 1 else 1)
            strides = stride if block == 0 else 1
            features = _block(features, widened, max(1, int(channels * width)), strides, padding)
        if stage in POINTS:
            ends.append(features)
    embedding = keras.layers.GlobalAveragePooling2D()(
        normed_relu(pointwise(features, int(_LAST_CHANNELS * max(1, width)), 1))
    )
    chosen = [ends[point - 1] for point in points]
    maps = {kind: list(chosen) for kind in ("pre", "post", "passed")}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **maps})


def _block(
    features: keras.KerasTensor, widened: int, channels: int, stride: int, padding: Padding
) -> keras.KerasTensor:
    """Widens a map, filters each channel and narrows it; a block that keeps the shape adds its input."""
    residual = normed_relu(pointwise(features, widened, 1))
    residual = normed_relu(depthwise(residual, 3, stride, padding))
    residual = batch_norm()(pointwise(residual, channels, 1))
    same_shape = stride == 1 and features.shape[-1] == channels
    return keras.layers.Add()([features, residual]) if same_shape else residual


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in RepDistiller's and mdistiller's code, by the parameters of ours."""
    return Modules(numbered(_modules()), {"padding": "symmetric", "stem_stride": 2})


def _modules() -> Built:
    yield from normed("conv1.0", "conv1.1")
    for stage, (_channels, blocks, _stride) in enumerate(STAGES):
        for block in range(blocks):
            place = f"blocks.{stage}.{block}.conv"
            yield from normed(f"{place}.0", f"{place}.1")
            yield from normed(f"{place}.3", f"{place}.4", DEPTHWISE)
            yield from normed(f"{place}.6", f"{place}.7")
    yield from normed("conv2.0", "conv2.1")
    yield CLASSIFIER, "classifier.0"
