"""ShuffleNetV2: Ma et al., "Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018, arXiv:1807.11164.

As the distillation benchmarks have it for 32x32 images (RepDistiller, mdistiller: `ShuffleV2`). Differs from the paper:
the stem is a 1x1 convolution without stride and pooling.

The feature points lie at the ends of the three groups: `pre` is the shuffled map with the last branch before its ReLU,
`post` and `passed` are after it. In the benchmarks' code, `pre` is not shuffled yet: its channels have another order
than those of `post`.
"""

from collections.abc import Mapping
from typing import Any

import keras

from kd_bench.checks import PositiveInt
from kd_bench.errors import ConfigError
from kd_bench.layers import Padding, batch_norm, classifier, convolution, depthwise, normed_relu, shuffled
from kd_bench.networks.pytorch_modules import CLASSIFIER, CONVOLUTION, DEPTHWISE, Built, Modules, normed, numbered
from kd_bench.networks.sizes import require_size

BLOCKS = (4, 8, 4)
"""Blocks of each group; the first one halves the map."""

_BRANCHES = 2


def shufflenet_v2(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    stem_channels: PositiveInt,
    channels: list[PositiveInt],
    last_channels: PositiveInt,
    padding: Padding,
) -> keras.Model:
    """Builds a ShuffleNetV2 of three groups of blocks with two branches.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        stem_channels: channels of the first convolution; 24 in the paper.
        channels: of the groups; 116, 232 and 464 in the paper at width 1.
        last_channels: of the last convolution; 1024 in the paper at width 1.
        padding: of the strided convolutions.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` per group, shallow to deep: `post` and `passed` end the group, and are `pre` after
        a ReLU.

    Raises:
        ConfigError: there are not three even numbers of channels, or the images are too small.
    """
    if len(channels) != len(BLOCKS) or any(number % _BRANCHES for number in channels):
        raise ConfigError(f"channels={channels}: must be {len(BLOCKS)} even numbers, such as [116,232,464].")
    require_size(input_shape, [2] * len(BLOCKS))
    images = keras.Input(input_shape)
    activated = normed_relu(convolution(stem_channels, 1)(images))
    befores, activations = [], []
    for number, blocks in zip(channels, BLOCKS, strict=True):
        activated = _halving_block(activated, number // _BRANCHES, padding)
        for _ in range(blocks - 1):
            before = _block(activated, padding)
            activated = keras.layers.ReLU()(before)
        befores.append(before)
        activations.append(activated)
    embedding = keras.layers.GlobalAveragePooling2D()(normed_relu(convolution(last_channels, 1)(activated)))
    maps = {"pre": befores, "post": activations, "passed": list(activations)}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **maps})


def _halving_block(features: keras.KerasTensor, channels: int, padding: Padding) -> keras.KerasTensor:
    """Puts two branches with a stride, each with this number of channels, behind each other; both end in a ReLU."""
    left = batch_norm()(depthwise(features, 3, 2, padding))
    left = normed_relu(convolution(channels, 1)(left))
    right = normed_relu(convolution(channels, 1)(features))
    right = batch_norm()(depthwise(right, 3, 2, padding))
    right = normed_relu(convolution(channels, 1)(right))
    return shuffled(keras.layers.Concatenate()([left, right]), _BRANCHES)


def _block(features: keras.KerasTensor, padding: Padding) -> keras.KerasTensor:
    """Computes with half of the channels and shuffles them with the others; the caller applies the ReLU.

    The others are outputs of a ReLU already, which a second one does not change.
    """
    kept, read = keras.ops.split(features, _BRANCHES, axis=-1)
    branch = normed_relu(convolution(read.shape[-1], 1)(read))
    branch = batch_norm()(depthwise(branch, 3, 1, padding))
    branch = batch_norm()(convolution(read.shape[-1], 1)(branch))
    return shuffled(keras.layers.Concatenate()([kept, branch]), _BRANCHES)


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in RepDistiller's and mdistiller's code, by the parameters of ours."""
    return Modules(numbered(_modules()), {"padding": "symmetric"})


def _modules() -> Built:
    yield from normed("conv1", "bn1")
    for group, blocks in enumerate(BLOCKS, start=1):
        for number, kind in enumerate((DEPTHWISE, CONVOLUTION, CONVOLUTION, DEPTHWISE, CONVOLUTION), start=1):
            yield from normed(f"layer{group}.0.conv{number}", f"layer{group}.0.bn{number}", kind)
        for block in range(1, blocks):
            for number, kind in enumerate((CONVOLUTION, DEPTHWISE, CONVOLUTION), start=1):
                yield from normed(f"layer{group}.{block}.conv{number}", f"layer{group}.{block}.bn{number}", kind)
    yield from normed("conv2", "bn2")
    yield CLASSIFIER, "linear"
