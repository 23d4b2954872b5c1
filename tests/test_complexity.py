"""Multiply-adds of any network: published numbers, layers one by one, and what cannot be counted."""

import keras
import pytest
import tensorflow as tf

from kd_bench.complexity import multiply_adds, multiply_adds_of_updates

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


def graph_of_step(layer, inputs, **options):
    """Returns the graph of a step that trains a layer and, with `through`, also computes its inputs' gradient."""
    through = options.pop("through", False)
    layer.build(inputs.shape)

    @tf.function(**options)
    def step(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = tf.reduce_sum(layer(values) ** 2)
        kernel = layer.trainable_variables[0]
        to_kernel, to_values = tape.gradient(loss, [kernel.value, values])
        kernel.assign_sub(to_kernel + (tf.reduce_sum(to_values) if through else 0.0))

    return step.get_concrete_function(inputs).graph


@pytest.mark.parametrize("name", ["convolution", "groups", "depthwise", "transposed", "dense on a map", "einsum"])
def test_a_way_back_costs_one_forward_pass_for_the_kernel_and_one_for_the_inputs(name):
    layer, forward = LAYERS[name]
    kind = type(layer)
    for through, passes in ((False, 2), (True, 3)):
        fresh = kind.from_config(layer.get_config())
        counted = multiply_adds_of_updates(graph_of_step(fresh, tf.zeros((1, 8, 8, 4)), through=through))
        # A grouped convolution is one function, with all of its gradients.
        assert counted == (3 if name == "groups" else passes) * forward


def test_only_what_changes_a_variable_counts():
    variable = tf.Variable(tf.zeros((3, 3)))

    @tf.function
    def step(values):
        unused = tf.matmul(values, values)
        variable.assign(tf.matmul(values, variable))
        return unused

    assert multiply_adds_of_updates(step.get_concrete_function(tf.zeros((3, 3))).graph) == 27


def test_of_two_branches_the_larger_counts_and_a_loop_is_unknown():
    variable = tf.Variable(tf.zeros((3, 3)))

    @tf.function
    def branches(values):
        once = tf.matmul(values, values)
        variable.assign(tf.cond(values[0, 0] > 0, lambda: once, lambda: tf.matmul(once, once)))

    @tf.function
    def loop(values):
        variable.assign(tf.while_loop(lambda v: v[0, 0] > 0, lambda v: [tf.matmul(v, v)], [values])[0])

    square = tf.zeros((3, 3))
    assert multiply_adds_of_updates(branches.get_concrete_function(square).graph) == 2 * 27
    assert multiply_adds_of_updates(loop.get_concrete_function(square).graph) is None


def test_decompositions_count_as_in_the_literature():
    variable = tf.Variable(tf.zeros((2, 4)))

    @tf.function
    def step(values):
        roots = tf.linalg.eigvalsh(tf.matmul(values, values, transpose_a=True))
        variable.assign(roots + tf.linalg.svd(values, compute_uv=False))

    product, eigen, singular = 2 * 4 * 4 * 6, 2 * 9 * 4**3 // 2, 2 * (3 * 6 * 4**2 + 10 * 4**3)
    graph = step.get_concrete_function(tf.zeros((2, 6, 4))).graph
    assert multiply_adds_of_updates(graph) == product + eigen + singular
