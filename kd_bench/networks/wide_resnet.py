"""Wide residual networks: Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016, arXiv:1605.07146."""

from collections.abc import Mapping
from typing import Any

import keras

from kd_bench.checks import PositiveInt
from kd_bench.errors import ConfigError
from kd_bench.layers import Padding, batch_norm, classifier, convolved, pointwise
from kd_bench.networks.pytorch_modules import CLASSIFIER, CONVOLUTION, NORM, Built, Modules, numbered
from kd_bench.networks.sizes import require_size

GROUPS = 3
_LEAST_MAP = 48
"""The smallest side of a map to which a stem without a given stride shrinks images."""


def wide_resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: PositiveInt,
    width: PositiveInt,
    stem_channels: PositiveInt,
    stem_stride: PositiveInt | None,
    padding: Padding = "same",
) -> keras.Model:
    """Builds a Wide ResNet of three groups of (depth - 4) / 6 pre-activation blocks.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        depth: 6n + 4 convolutions.
        width: group g has stem_channels * 2**g * width channels.
        stem_channels: channels of the first convolution; 16 in the paper.
        stem_stride: stride of the first convolution; 1 in the paper. With None, it depends on the images: the largest
            power of two that leaves maps of 48 pixels or more, and 1 for images below 96 pixels.
        padding: of the strided convolutions; `symmetric` in the distillation benchmarks.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,c]` per group, shallow to deep: `passed` is the residual sum at the group's end, which
        the next layer reads, `pre` is after the next batch norm, and `post` after its ReLU.

    Raises:
        ConfigError: depth is not 6n + 4, or the images are too small.
    """
    blocks, rest = divmod(depth - 4, 2 * GROUPS)
    if rest or blocks < 1:
        raise ConfigError(f"depth={depth}: a Wide ResNet has 6n+4 layers: 10, 16, 22, 28, 40, ...")
    stride = stem_stride or _stride_for(min(input_shape[:2]))
    require_size(input_shape, [stride, 2, 2])
    images = keras.Input(input_shape)
    kernel = max(3, 2 * stride - 1)  # no pixel is skipped, and neighbours overlap
    features = convolved(images, stem_channels, kernel, stride, padding)
    normalised, activated = _pre_activation(features)
    points: dict[str, list[keras.KerasTensor]] = {"passed": [], "pre": [], "post": []}
    for group in range(GROUPS):
        for block in range(blocks):
            stride = 2 if group > 0 and block == 0 else 1
            features = _block(features, activated, stem_channels * 2**group * width, stride, padding)
            normalised, activated = _pre_activation(features)
        for name, tensor in (("passed", features), ("pre", normalised), ("post", activated)):
            points[name].append(tensor)
    embedding = keras.layers.GlobalAveragePooling2D()(activated)
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **points})


def _stride_for(size: int) -> int:
    """Returns the largest power of two by which `size` can be divided to `_LEAST_MAP` or more; 1 for smaller sizes."""
    return 2 ** max(0, (size // _LEAST_MAP).bit_length() - 1)


def _pre_activation(features: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    normalised = batch_norm()(features)
    return normalised, keras.layers.ReLU()(normalised)


def _block(
    features: keras.KerasTensor, activated: keras.KerasTensor, channels: int, stride: int, padding: Padding
) -> keras.KerasTensor:
    """Adds two convolutions to the shortcut; a shortcut that changes the shape starts from the pre-activation."""
    same_shape = stride == 1 and features.shape[-1] == channels
    shortcut = features if same_shape else pointwise(activated, channels, stride)
    residual = convolved(activated, channels, 3, stride, padding)
    _, residual = _pre_activation(residual)
    return keras.layers.Add()([shortcut, convolved(residual, channels, 3, 1, padding)])


def pytorch_modules(parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules of the network in RepDistiller's and mdistiller's code, by the parameters of ours."""
    return Modules(numbered(_modules(parameters)), {"padding": "symmetric", "stem_stride": 1})


def _modules(parameters: Mapping[str, Any]) -> Built:
    yield CONVOLUTION, "conv1"
    for group in range(GROUPS):
        for block in range((parameters["depth"] - 4) // (2 * GROUPS)):
            place = f"block{group + 1}.layer.{block}"
            yield NORM, f"{place}.bn1"
            if block == 0 and (group > 0 or parameters["width"] > 1):
                yield CONVOLUTION, f"{place}.convShortcut"
            yield CONVOLUTION, f"{place}.conv1"
            yield NORM, f"{place}.bn2"
            yield CONVOLUTION, f"{place}.conv2"
    yield NORM, "bn1"
    yield CLASSIFIER, "fc"
