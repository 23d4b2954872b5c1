"""Residual networks for CIFAR: He et al., "Deep Residual Learning", CVPR 2016, section 4.2, arXiv:1512.03385.

ResNet-20, -56, -110 and the distillation benchmarks' "8x4" and "32x4" (RepDistiller, mdistiller), whose stem has 32 and
whose groups have 64, 128 and 256 channels.

The feature points: a post-activation block computes ReLU(shortcut + F(x)), and F ends in a batch norm. There is no
batch norm between the sum and its ReLU. At the end of a group, `pre` is the sum. `post` is after the ReLU, and the next
group reads it.

The batch norm of a point, from which CO takes its margins, is the last one of the residual branch (`bn2` in the public
`get_bn_before_relu`), although it normalises only one of the two terms of the sum: the last input of the `Add` whose
output is `pre`.
"""

from collections.abc import Mapping
from typing import Any, Literal

import keras

from kd_bench.checks import PositiveInt
from kd_bench.errors import ConfigError
from kd_bench.layers import Padding, batch_norm, classifier, convolved, normed_relu, pointwise, subsampled
from kd_bench.networks.pytorch_modules import CLASSIFIER, Built, Modules, normed, numbered
from kd_bench.networks.sizes import require_size

GROUPS = 3


def resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: PositiveInt,
    width: PositiveInt,
    stem_channels: PositiveInt,
    stem_stride: PositiveInt,
    shortcut: Literal["projection", "padding"],
    padding: Padding = "same",
) -> keras.Model:
    """Builds a ResNet of three groups of (depth - 2) / 6 post-activation basic blocks.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        depth: 6n + 2 layers.
        width: group g has stem_channels * 2**g * width channels; 1 in the paper, 2 in ResNet-8x4 and -32x4.
        stem_channels: channels of the first convolution; 16 in the paper, 32 in ResNet-8x4 and -32x4.
        stem_stride: stride of the first convolution; 1 in the paper.
        shortcut: how a shortcut changes its shape: by a 1x1 convolution and batch norm (the paper's option B, which the
            distillation benchmarks use), or by keeping every second pixel and adding channels of zeros (option A, which
            the paper uses on CIFAR).
        padding: of the strided convolutions; `symmetric` in the distillation benchmarks.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` per group, shallow to deep: `pre` is the residual sum that ends the group, `post`
        and `passed` are that sum after its ReLU.

    Raises:
        ConfigError: depth is not 6n + 2, or the images are too small.
    """
    blocks, rest = divmod(depth - 2, 2 * GROUPS)
    if rest or blocks < 1:
        raise ConfigError(f"depth={depth}: a ResNet has 6n+2 layers: 8, 14, 20, 32, 56, ...")
    require_size(input_shape, [stem_stride, 2, 2])
    images = keras.Input(input_shape)
    activated = normed_relu(convolved(images, stem_channels, 3, stem_stride, padding))
    sums, activations = [], []
    for group in range(GROUPS):
        for block in range(blocks):
            stride = 2 if group > 0 and block == 0 else 1
            summed = _block(activated, stem_channels * 2**group * width, stride, shortcut, padding)
            activated = keras.layers.ReLU()(summed)
        sums.append(summed)
        activations.append(activated)
    embedding = keras.layers.GlobalAveragePooling2D()(activated)
    points = {"pre": sums, "post": activations, "passed": list(activations)}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **points})


def _block(
    features: keras.KerasTensor, channels: int, stride: int, shortcut: str, padding: Padding
) -> keras.KerasTensor:
    """Adds two convolutions, each with its batch norm, to the shortcut; the caller applies the ReLU."""
    residual = normed_relu(convolved(features, channels, 3, stride, padding))
    residual = batch_norm()(convolved(residual, channels, 3, 1, padding))
    if stride == 1 and features.shape[-1] == channels:
        carried = features
    elif shortcut == "projection":
        carried = batch_norm()(pointwise(features, channels, stride))
    else:
        carried = _padded(features, channels, stride)
    return keras.layers.Add()([carried, residual])


def _padded(features: keras.KerasTensor, channels: int, stride: int) -> keras.KerasTensor:
    return keras.ops.pad(subsampled(features, stride), [[0, 0], [0, 0], [0, 0], [0, channels - features.shape[-1]]])


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in RepDistiller's and mdistiller's code, by the parameters of ours."""
    return Modules(numbered(_modules(parameters)), {"padding": "symmetric", "shortcut": "projection", "stem_stride": 1})


def _modules(parameters: Mapping[str, Any]) -> Built:
    yield from normed("conv1", "bn1")
    for group in range(GROUPS):
        for block in range((parameters["depth"] - 2) // (2 * GROUPS)):
            place = f"layer{group + 1}.{block}"
            yield from normed(f"{place}.conv1", f"{place}.bn1")
            yield from normed(f"{place}.conv2", f"{place}.bn2")
            if block == 0 and (group > 0 or parameters["width"] > 1):
                yield from normed(f"{place}.downsample.0", f"{place}.downsample.1")
    yield CLASSIFIER, "fc"
