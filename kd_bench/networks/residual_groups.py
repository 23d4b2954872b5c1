"""The four groups of residual blocks that every ResNet for larger images has, whatever its stem.

He et al., "Deep Residual Learning", CVPR 2016, table 1, arXiv:1512.03385. A bottleneck block has its stride in its 3x3
convolution, as in torchvision and in the distillation benchmarks.
"""

from collections.abc import Callable, Sequence

import keras

from kd_bench.layers import Padding, batch_norm, classifier, convolved, normed_relu, pointwise
from kd_bench.networks.pytorch_modules import CLASSIFIER, Built, normed

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Depth -> blocks of each group."""
GROUPS = 4

_FIRST_BOTTLENECK = 50
_WIDENING = 4
"""A bottleneck block returns so many times the channels of its 3x3 convolution."""

Branch = Callable[[keras.KerasTensor, int, int, Padding], keras.KerasTensor]
"""From a map, the channels of 3x3 convolutions, a stride and a padding to what a block adds to its shortcut."""


def residual_network(
    images: keras.KerasTensor,
    stem: keras.KerasTensor,
    num_classes: int,
    *,
    depth: int,
    channels: int,
    points: Sequence[int],
    padding: Padding,
) -> keras.Model:
    """Returns the network of a stem, the four groups and a classifier, as `resnet` does.

    Args:
        images: `[B,H,W,C]`, symbolic.
        stem: the map that the first group reads.
        num_classes: the size of the logits.
        depth: of `BLOCKS`; from 50 on, blocks are bottlenecks.
        channels: of the 3x3 convolutions of the first group; the next ones have twice as many each.
        points: the groups that end in a feature point, counted from 1.
        padding: of the strided convolutions.
    """
    branch = _bottleneck if depth >= _FIRST_BOTTLENECK else _basic
    activated, sums, activations = stem, [], []
    for group, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            stride = 2 if group > 0 and block == 0 else 1
            summed = _block(activated, branch, channels * 2**group, stride, padding)
            activated = keras.layers.ReLU()(summed)
        if group + 1 in points:
            sums.append(summed)
            activations.append(activated)
    embedding = keras.layers.GlobalAveragePooling2D()(activated)
    maps = {"pre": sums, "post": activations, "passed": list(activations)}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **maps})


def _block(
    features: keras.KerasTensor, branch: Branch, channels: int, stride: int, padding: Padding
) -> keras.KerasTensor:
    """Adds a branch to the shortcut; the caller applies the ReLU."""
    added = branch(features, channels, stride, padding)
    same_shape = stride == 1 and features.shape[-1] == added.shape[-1]
    carried = features if same_shape else batch_norm()(pointwise(features, added.shape[-1], stride))
    return keras.layers.Add()([carried, added])


def _basic(features: keras.KerasTensor, channels: int, stride: int, padding: Padding) -> keras.KerasTensor:
    inner = normed_relu(convolved(features, channels, 3, stride, padding))
    return batch_norm()(convolved(inner, channels, 3, 1, padding))


def _bottleneck(features: keras.KerasTensor, channels: int, stride: int, padding: Padding) -> keras.KerasTensor:
    inner = normed_relu(pointwise(features, channels, 1))
    inner = normed_relu(convolved(inner, channels, 3, stride, padding))
    return batch_norm()(pointwise(inner, _WIDENING * channels, 1))


def residual_modules(depth: int, shortcut: str, last: str) -> Built:
    """Yields the layers of the network and their names in PyTorch.

    Args:
        depth: of `BLOCKS`.
        shortcut: what PyTorch's code calls the shortcut of a block.
        last: what it calls the classifier.
    """
    has_bottlenecks = depth >= _FIRST_BOTTLENECK
    yield from normed("conv1", "bn1")
    for group, blocks in enumerate(BLOCKS[depth], start=1):
        for block in range(blocks):
            name = f"layer{group}.{block}"
            for number in range(1, (3 if has_bottlenecks else 2) + 1):
                yield from normed(f"{name}.conv{number}", f"{name}.bn{number}")
            if block == 0 and (group > 1 or has_bottlenecks):
                yield from normed(f"{name}.{shortcut}.0", f"{name}.{shortcut}.1")
    yield CLASSIFIER, last
