"""Weights that depend on how many positions a feature map has, brought from the maps they were published for to others.

A loss that sums over the positions of a map grows with the map, one that averages the squared difference of maps of
unit length shrinks with it. The published weights belong to networks whose stem keeps the 32x32 positions of a CIFAR
image. On other images, or behind a stem with a stride, the same number is another weight.
"""

import math

import keras

from kd_bench.errors import ConfigError

PUBLISHED_POSITIONS = 32 * 32
"""Positions of the shallowest map of the networks that the weights were published for."""


def area_ratio(student: keras.Model, teacher: keras.Model) -> float:
    """Returns the positions of the shallowest map, relative to the published networks': 1 for 32x32 images.

    The shallowest map is what the first convolution returns: the size at which a network works, whichever of its
    layers a method reads. Of two sizes the smaller counts, since the larger map is pooled to it.

    Args:
        student: a functional model.
        teacher: likewise.

    Raises:
        ConfigError: a network has no convolution.
    """
    return min(_positions(student), _positions(teacher)) / PUBLISHED_POSITIONS


def _positions(network: keras.Model) -> int:
    for layer in network._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Conv2D):
            return math.prod(layer.output.shape[1:3])
    raise ConfigError("method.area_scaling=true: a network without convolutions has no maps; set it to false.")
