"""VGG for CIFAR: Simonyan, Zisserman, "Very Deep Convolutional Networks", ICLR 2015, arXiv:1409.1556.

With batch norm, and one dense layer on the pooled features in place of three: the form that the distillation benchmarks
use (RepDistiller and mdistiller, `vgg8_bn`, `vgg13_bn`). Five blocks; a 2x2 max-pooling follows each of the first
three, so that the maps of 32x32 images measure 32, 16, 8, 4 and 4 pixels.

Where the feature points lie: at the last convolution of a block, before the pooling. `pre` is after its batch norm
(from which CO takes its margins), `post` after its ReLU.

The pair chooses their number, because teacher and student must have the same number: `points` lists the blocks.
[1,2,3] have the sizes of a three-group network's maps (32, 16 and 8 pixels), so that a VGG pairs with a ResNet or a
Wide ResNet; [2,3,4,5] are those of the benchmarks' feature methods, for a pair of two VGGs.

Differences from the benchmarks: the convolutions have no bias, because the batch norm after them removes it (2,944
parameters of VGG-13). With the padding `same`, a pooling rounds odd sizes up, like the strided convolutions of the
other networks; with `symmetric` down, as theirs.
"""

from collections.abc import Mapping
from typing import Any, Literal

import keras

from kd_bench.checks import PositiveInt
from kd_bench.errors import ConfigError
from kd_bench.layers import Padding, batch_norm, classifier, convolution
from kd_bench.networks.points import require_points
from kd_bench.networks.pytorch_modules import CLASSIFIER, Built, Modules, normed, numbered
from kd_bench.networks.sizes import require_size

CONVOLUTIONS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Depth -> convolutions of each block: configurations A, B, D and E of the paper; 8 is RepDistiller's `S`."""

WIDENING = (1, 2, 4, 8, 8)
"""Channels of each block, as multiples of the first one's."""


def vgg(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Literal[8, 11, 13, 16, 19],
    stem_channels: PositiveInt,
    poolings: PositiveInt,
    points: list[PositiveInt],
    padding: Padding = "same",
) -> keras.Model:
    """Builds a VGG of five blocks of 3x3 convolutions, each with batch norm and ReLU.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        depth: as in the paper: the convolutions and three dense layers, of which one remains here.
        stem_channels: channels of the first block; 64 in the paper. The others have 2, 4, 8 and 8 times as many.
        poolings: how many of the first blocks are followed by a max-pooling; 3 for 32x32 images, 4 for 64x64
            (RepDistiller).
        points: the blocks that end in a feature point, counted from 1.
        padding: of the poolings.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` for each of `points`: `pre` is after the batch norm of the block's last
        convolution, `post` after its ReLU, and `passed` is the same as `post`, before any pooling.

    Raises:
        ConfigError: the points are not blocks from 1 to 5 in rising order, there are more than 4 poolings, or the
            images are too small.
    """
    require_points(points, len(WIDENING))
    _require_poolings(input_shape, poolings, padding)
    images = features = keras.Input(input_shape)
    pre, post = [], []
    for block, convolutions in enumerate(CONVOLUTIONS[depth], start=1):
        for _ in range(convolutions):
            normalised = batch_norm()(convolution(stem_channels * WIDENING[block - 1], 3)(features))
            features = activated = keras.layers.ReLU()(normalised)
        if block in points:
            pre.append(normalised)
            post.append(activated)
        if block <= poolings:
            features = keras.layers.MaxPooling2D(2, padding="same" if padding == "same" else "valid")(activated)
    embedding = keras.layers.GlobalAveragePooling2D()(features)
    maps = {"pre": pre, "post": post, "passed": list(post)}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **maps})


def _require_poolings(input_shape: tuple[int, int, int], poolings: int, padding: Padding) -> None:
    last = len(WIDENING)
    if poolings >= last:
        raise ConfigError(f"poolings={poolings}: must be at most {last - 1}; the last block is pooled to one pixel.")
    require_size(input_shape, [2] * poolings, rounded="up" if padding == "same" else "down")


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in RepDistiller's and mdistiller's code, by the parameters of ours."""
    return Modules(numbered(_modules(parameters)), {"padding": "symmetric"}, biased=True)


def _modules(parameters: Mapping[str, Any]) -> Built:
    for block, convolutions in enumerate(CONVOLUTIONS[parameters["depth"]]):
        for place in range(0, 3 * convolutions, 3):  # each with its batch norm and ReLU
            yield from normed(f"block{block}.{place}", f"block{block}.{place + 1}")
    yield CLASSIFIER, "classifier"
