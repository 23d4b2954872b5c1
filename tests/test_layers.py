"""The fused batch norm is Keras's batch norm, in numbers and on disk."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_bench.layers import batch_norm
from kd_bench.networks.wide_resnet import wide_resnet
from kd_bench.training.saving import save_network

MAPS = (6, 5, 4, 3)
TOLERANCES = {"float32": 2e-6, "mixed_bfloat16": 2e-2, "mixed_float16": 2e-3}
"""Outputs and gradients to the inputs are rounded to the precision; all else is float32 in both layers."""


def pair(precision="float32", **options):
    """Returns the fused layer and Keras's, with the same weights, none of them trivial."""
    fused = batch_norm(dtype=precision, **options)
    plain = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=precision, **options)
    generator = np.random.default_rng(3)
    for layer in (fused, plain):
        layer.build(MAPS)
    weights = [generator.uniform(0.5, 2.0, weight.shape) for weight in plain.weights]
    for layer in (fused, plain):
        layer.set_weights(weights)
    return fused, plain


def results(layer, images, training, compiled=None):
    """Returns outputs, gradients of all that has one, and the moving statistics after the call."""
    variables = [variable.value for variable in layer.trainable_variables]

    def gradients(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=training)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
        return outputs, *tape.gradient(loss, [images, *variables])

    found = tf.function(gradients, jit_compile=compiled, autograph=False)(images)
    return [tf.cast(tensor, tf.float32).numpy() for tensor in (*found, layer.moving_mean, layer.moving_variance)]


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("precision", TOLERANCES)
def test_it_computes_what_keras_computes(precision, training, compiled, generator):
    dtype = keras.DTypePolicy(precision).compute_dtype
    images = tf.cast(generator.normal(1.0, 2.0, MAPS), dtype)
    fused, plain = (results(layer, images, training, compiled) for layer in pair(precision))
    for number, (own, keras_own) in enumerate(zip(fused, plain, strict=True)):
        tolerance = TOLERANCES[precision] if number < 4 else 1e-6
        scale = max(np.abs(keras_own).max(), 1.0)
        np.testing.assert_allclose(own / scale, keras_own / scale, atol=tolerance, err_msg=str(number))


@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}, {"scale": False, "center": False}], ids=str)
def test_without_scale_or_offset(options, generator):
    images = tf.constant(generator.normal(1.0, 2.0, MAPS), tf.float32)
    fused, plain = (results(layer, images, True) for layer in pair(**options))
    for own, keras_own in zip(fused, plain, strict=True):
        np.testing.assert_allclose(own, keras_own, rtol=1e-4, atol=2e-5)


def test_a_frozen_layer_uses_and_keeps_its_moving_statistics(generator):
    images = tf.constant(generator.normal(1.0, 2.0, MAPS), tf.float32)
    fused, plain = pair()
    for layer in (fused, plain):
        layer.trainable = False
    before = fused.moving_mean.numpy()
    for own, keras_own in zip(results(fused, images, True), results(plain, images, True), strict=True):
        np.testing.assert_allclose(own, keras_own, rtol=1e-4, atol=2e-5)
    np.testing.assert_array_equal(fused.moving_mean.numpy(), before)


def test_a_batch_of_unknown_size_moves_the_statistics_alike(generator):
    images = tf.constant(generator.normal(1.0, 2.0, MAPS), tf.float32)
    fused, plain = pair()
    for layer in (fused, plain):
        call = tf.function(lambda x, layer=layer: layer(x, training=True))
        call.get_concrete_function(tf.TensorSpec([None, *MAPS[1:]]))(images)
    np.testing.assert_allclose(fused.moving_variance.numpy(), plain.moving_variance.numpy(), rtol=1e-6)


def test_vectors_and_doubles_go_to_keras(generator):
    for images in (generator.normal(size=(7, 3)).astype(np.float32), generator.normal(size=MAPS)):
        dtype = str(images.dtype)
        fused = batch_norm(dtype=dtype)
        plain = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)
        np.testing.assert_array_equal(fused(images, training=True), plain(images, training=True))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's saving, NumPy 2
def test_a_saved_network_opens_where_this_package_is_unknown(tmp_path, generator):
    network = wide_resnet((8, 8, 1), 10, depth=10, width=1, stem_channels=4, stem_stride=1)
    images = generator.integers(0, 256, (4, 8, 8, 1), np.uint8)
    mean, std = np.float32([80]), np.float32([90])
    normalised = (images - mean) / std
    network(normalised, training=True)
    save_network(tmp_path / "network.keras", network, mean, std)
    np.save(tmp_path / "images.npy", images)
    program = (
        "import sys, keras, numpy as np\n"
        "network = keras.saving.load_model('network.keras')\n"
        "layers = network.get_layer('network').layers\n"
        "norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]\n"
        "assert {type(layer) for layer in norms} == {keras.layers.BatchNormalization}, norms\n"
        "assert not any(name.startswith('kd_bench') for name in sys.modules)\n"
        "np.save('logits.npy', network(np.load('images.npy')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), network(normalised)["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's saving, NumPy 2
def test_weights_saved_by_one_load_in_the_other(tmp_path):
    fused, plain = (keras.Sequential([keras.Input(MAPS[1:]), layer]) for layer in pair())
    for number, (source, target) in enumerate([(fused, plain), (plain, fused)]):
        source.set_weights([weight + 1 + number for weight in source.get_weights()])
        path = tmp_path / f"{number}.keras"
        source.save(path)
        target.load_weights(path)
        for own, other in zip(source.get_weights(), target.get_weights(), strict=True):
            np.testing.assert_array_equal(own, other)
