"""Multiply-adds of any network: published numbers, layers one by one, and what cannot be counted."""

import keras
import pytest

from kd_bench.networks.complexity import multiply_adds

PUBLISHED = {"MobileNetV2": 0.300, "Xception": 8.4, "ConvNeXtTiny": 4.5, "DenseNet121": 2.8}
"""In 10**9, of the papers or of the authors' code."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks(name):
    counted = multiply_adds(getattr(keras.applications, name)(weights=None))
    assert counted / 1e9 == pytest.approx(PUBLISHED[name], rel=0.02)


def network_of(*layers, shape=(8, 8, 4)):
    return keras.Sequential([keras.Input(shape), *layers])


LAYERS = {
    "convolution": (keras.layers.Conv2D(6, 3, padding="same", strides=2), 16 * 6 * 9 * 4),
    "groups": (keras.layers.Conv2D(6, 3, padding="same", groups=2), 64 * 6 * 9 * 2),
    "depthwise": (keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 64 * 8 * 9),
    "separable": (keras.layers.SeparableConv2D(6, 3, padding="same"), 64 * 4 * 9 + 64 * 4 * 6),
    "transposed": (keras.layers.Conv2DTranspose(6, 3, strides=2, padding="same"), 64 * 9 * 4 * 6),
    "dense on a map": (keras.layers.Dense(5), 64 * 4 * 5),
    "einsum": (keras.layers.EinsumDense("bhwc,cd->bhwd", (None, None, 5)), 64 * 4 * 5),
    "batch norm": (keras.layers.BatchNormalization(), 0),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    layer, expected = LAYERS[name]
    assert multiply_adds(network_of(layer)) == expected


def test_attention_counts_projections_and_both_products():
    tokens = keras.Input((10, 8))
    attended = keras.layers.MultiHeadAttention(num_heads=2, key_dim=3)(tokens, tokens)
    projections, products = 4 * 10 * 8 * 6, 2 * 2 * 10 * 10 * 3
    assert multiply_adds(keras.Model(tokens, attended)) == projections + products


def test_nested_networks_and_layers_used_twice_count_each_time():
    block = network_of(keras.layers.Conv2D(4, 3, padding="same"))
    assert multiply_adds(network_of(block, block)) == 2 * multiply_adds(block) == 2 * 64 * 4 * 9 * 4


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(keras.layers.LSTM(3), (5, 4)), (keras.layers.Conv2D(4, 3), (None, None, 3))],
    ids=["a loop", "an unknown size"],
)
def test_what_cannot_be_counted_is_unknown(layer, shape):
    assert multiply_adds(network_of(layer, shape=shape)) is None
