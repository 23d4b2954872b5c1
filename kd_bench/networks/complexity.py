"""The multiply-adds of a network."""

import math

import keras


def multiply_adds(network: keras.Model) -> int:
    """Returns the multiply-adds of one image's forward pass through the convolutions and dense layers."""
    return sum(_multiply_adds(layer) for layer in network.layers)


def _multiply_adds(layer: keras.layers.Layer) -> int:
    if isinstance(layer, keras.layers.Conv2D):
        return math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape)
    return 0
