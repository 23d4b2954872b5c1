"""MobileNet: Howard et al., "MobileNets", arXiv:1704.04861, table 1.

The student of a ResNet-50 in papers on distillation on ImageNet (CRD, ReviewKD, DKD, DIST), in the form of mdistiller's
`MobileNetV1`: a convolution, then 13 blocks of a depthwise and a pointwise one.

The feature points are those of mdistiller: the ends of the blocks 3, 5, 11 and 13, where a block with a stride follows,
and the last one. `pre` is after the batch norm of the block's pointwise convolution, `post` and `passed` are after its
ReLU. Of 224x224 images, the maps measure 56, 28, 14 and 7 pixels, as those of a ResNet-50.
"""

from collections.abc import Mapping
from typing import Any

import keras

from kd_bench.checks import Positive, PositiveInt
from kd_bench.layers import Padding, batch_norm, classifier, convolved, depthwise, normed_relu, pointwise
from kd_bench.networks.points import require_points
from kd_bench.networks.pytorch_modules import CLASSIFIER, DEPTHWISE, Built, Modules, normed, numbered
from kd_bench.networks.sizes import require_size

BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Channels at width 1, and stride, of each block."""
POINTS = (3, 5, 11, 13)
"""The blocks that end in a feature point."""
_STEM_CHANNELS = 32


def mobilenet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: Positive,
    points: list[PositiveInt],
    padding: Padding,
) -> keras.Model:
    """Builds a MobileNet of 13 blocks.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        width: all channels are those of the paper times this, rounded down.
        points: which of the four feature points there are, counted from 1.
        padding: of the strided convolutions.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` for each of `points`.

    Raises:
        ConfigError: the points are not numbers from 1 to 4 in rising order, or the images are too small.
    """
    require_points(points, len(POINTS))
    require_size(input_shape, [2, *(stride for _, stride in BLOCKS)])
    images = keras.Input(input_shape)
    stem = batch_norm()(convolved(images, _channels(_STEM_CHANNELS, width), 3, 2, padding))
    features = keras.layers.ReLU()(stem)
    pre, post = [], []
    for block, (channels, stride) in enumerate(BLOCKS, start=1):
        inner = normed_relu(depthwise(features, 3, stride, padding))
        normalised = batch_norm()(pointwise(inner, _channels(channels, width), 1))
        features = keras.layers.ReLU()(normalised)
        if block in POINTS:
            pre.append(normalised)
            post.append(features)
    embedding = keras.layers.GlobalAveragePooling2D()(features)
    outputs = {"logits": classifier(num_classes)(embedding), "embedding": embedding}
    for kind, maps in {"pre": pre, "post": post, "passed": post}.items():
        outputs[kind] = [maps[point - 1] for point in points]
    return keras.Model(images, outputs)


def _channels(channels: int, width: float) -> int:
    return max(1, int(channels * width))


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in mdistiller's code; they don't depend on the parameters of ours."""
    del parameters
    return Modules(numbered(_modules()), {"padding": "symmetric"})


def _modules() -> Built:
    yield from normed("model.0.0", "model.0.1")
    for block in range(1, len(BLOCKS) + 1):
        yield from normed(f"model.{block}.0", f"model.{block}.1", DEPTHWISE)
        yield from normed(f"model.{block}.3", f"model.{block}.4")
    yield CLASSIFIER, "fc"
