"""The outputs of any Keras model, chosen by the names of layers."""

import keras
import numpy as np
import pytest

from kd_bench.config.network import MAPS
from kd_bench.errors import ConfigError
from kd_bench.networks.by_layer_name import by_layer_name
from kd_bench.networks.resnet import resnet
from kd_bench.networks.vgg import vgg
from kd_bench.networks.wide_resnet import wide_resnet

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")


def named(model, points=None, embedding=None, shape=SHAPE):
    return by_layer_name("model.student", model, shape, 5, points, embedding)


def backbone(name="backbone"):
    images = features = keras.Input(SHAPE)
    for block, channels in enumerate((4, 6), start=1):
        features = keras.layers.Conv2D(channels, 3, strides=2, padding="same", name=f"conv_{block}")(features)
        features = keras.layers.BatchNormalization(name=f"norm_{block}")(features)
        features = keras.layers.ReLU(name=f"relu_{block}")(features)
    return keras.Model(images, features, name=name)


def nested(activation=None, **options):
    """A backbone under a head, as in transfer learning."""
    images = keras.Input(SHAPE)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(backbone()(images, **options))
    dropped = keras.layers.Dropout(0.5)(pooled)
    return keras.Model(images, keras.layers.Dense(5, activation=activation, name="classes")(dropped), name="nested")


HAND_MADE = {
    "wide_resnet": wide_resnet(SHAPE, 5, depth=10, width=1, stem_channels=4, stem_stride=1),
    "resnet": resnet(SHAPE, 5, depth=8, width=1, stem_channels=4, stem_stride=1, shortcut="projection"),
    "vgg": vgg(SHAPE, 5, depth=8, stem_channels=4, poolings=3, points=[1, 2, 3]),
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_names_give_the_same_maps_as_the_networks_made_by_hand(name):
    model = HAND_MADE[name]
    layers = {kind: [tensor._keras_history.operation.name for tensor in model.output[kind]] for kind in MAPS}
    points = [
        post if passed == post else {"post": post, "passed": passed}
        for post, passed in zip(layers["post"], layers["passed"], strict=True)
    ]
    found = named(keras.Model(model.input, model.output["logits"]), points)
    assert {kind: [tensor._keras_history.operation.name for tensor in found.output[kind]] for kind in MAPS} == layers
    expected = model(IMAGES)
    for name in ("logits", "embedding"):
        np.testing.assert_array_equal(found(IMAGES)[name], expected[name])


def test_a_complete_network_stays_the_same_object():
    assert named(HAND_MADE["vgg"]) is HAND_MADE["vgg"]


def test_points_in_a_nested_backbone():
    model = nested()
    found = named(model, ["backbone/relu_1", "backbone"])
    assert [tensor.shape[1:] for tensor in found.output["post"]] == [(8, 8, 4), (4, 4, 6)]
    outputs, features = found(IMAGES), model.get_layer("backbone")(IMAGES)
    np.testing.assert_array_equal(outputs["logits"], model(IMAGES))
    np.testing.assert_array_equal(outputs["post"][1], features)
    np.testing.assert_allclose(outputs["embedding"], np.mean(features, axis=(1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(np.maximum(outputs["pre"][1], 0), features)
    assert all(one is other for one, other in zip(found.weights, model.weights, strict=True))


def test_a_model_up_to_a_point_has_no_layers_after_it():
    found = named(nested(), ["backbone/relu_1"])
    below = keras.Model(found.inputs, found.output["post"][0])
    assert [variable.path.split("/")[-2] for variable in below.trainable_variables] == ["conv_1"] * 2 + ["norm_1"] * 2


def test_training_changes_what_it_changes_in_the_given_model():
    models = [nested(training=False) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    found = named(models[1])
    models[0](IMAGES, training=True)
    found(IMAGES, training=True)
    for one, other in zip(found.get_weights(), models[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_backbones_with_the_same_names_of_layers():
    images = keras.Input(SHAPE)
    first, second = backbone("first")(images), backbone("second")(images)
    joined = keras.layers.Concatenate()([first, second])
    logits = keras.layers.Dense(5)(keras.layers.Flatten()(joined))
    model = keras.Model(images, logits)
    expected = model(IMAGES)
    found = named(model, ["first/relu_1", "second/relu_2"])
    np.testing.assert_array_equal(found(IMAGES)["logits"], expected)
    assert found.output["post"][1].shape[1:] == (4, 4, 6)


def test_an_activation_inside_a_layer_is_found_apart_from_it():
    images = keras.Input(SHAPE)
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    last = keras.layers.Conv2D(6, 3, activation="elu", name="last")(shared(shared(images)))
    vector = keras.layers.Dense(7, activation="relu", name="vector")(keras.layers.Flatten()(last))
    model = keras.Model(images, keras.layers.Dense(5, activation="softmax")(vector))
    probabilities, post, embedding = keras.Model(images, [model.output, last, vector])(IMAGES)
    outputs = named(model, ["last"])(IMAGES)
    np.testing.assert_allclose(keras.ops.softmax(outputs["logits"]), probabilities, rtol=1e-5)
    np.testing.assert_allclose(outputs["post"][0], post, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(keras.ops.elu(outputs["pre"][0]), post, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs["embedding"], embedding, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", [keras.ops.leaky_relu, keras.activations.relu6, keras.layers.ReLU()])
def test_the_map_before_an_activation_of_any_form(activation):
    images = keras.Input(SHAPE)
    normalised = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(4, 3)(images))
    active = activation(normalised)
    model = keras.Model(images, keras.layers.Dense(5)(keras.layers.Flatten()(active)))
    found = named(model, [active._keras_history.operation.name])
    assert found.output["pre"][0]._keras_history.operation.name == "norm"


def test_a_sequential_model_of_blocks():
    def block(channels):
        layers = [keras.layers.Conv2D(channels, 3, strides=2, name="conv"), keras.layers.ReLU(name="relu")]
        return keras.Sequential(layers, name=f"block_{channels}")

    head = [keras.layers.Flatten(), keras.layers.Dense(5)]
    model = keras.Sequential([keras.Input(SHAPE), block(4), block(8), *head])
    expected = model(IMAGES)
    found = named(model, ["block_4/relu", "block_8/relu"])
    assert [tensor.shape[-1] for tensor in found.output["post"]] == [4, 8]
    np.testing.assert_array_equal(found(IMAGES)["logits"], expected)


@pytest.mark.parametrize("as_layer", [False, True])
def test_a_softmax_is_removed(as_layer):
    model = nested(activation=None if as_layer else "softmax")
    if as_layer:
        model = keras.Model(model.input, keras.layers.Softmax()(model.output))
    probabilities = model(IMAGES)
    logits = named(model)(IMAGES)["logits"]
    assert not np.allclose(logits, probabilities)
    np.testing.assert_allclose(keras.ops.softmax(logits), probabilities, rtol=1e-5)


def test_logits_are_in_float32_also_in_lower_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = named(nested(), ["backbone/relu_1"])
    finally:
        keras.config.set_dtype_policy("float32")
    assert (found.output["logits"].dtype, found.output["post"][0].dtype) == ("float32", "bfloat16")


def test_a_named_embedding():
    model = nested()
    by_map = named(model, embedding="backbone/relu_1")(IMAGES)["embedding"]
    assert by_map.shape == (4, 4)
    np.testing.assert_array_equal(
        named(model, embedding="pool")(IMAGES)["embedding"], named(model)(IMAGES)["embedding"]
    )


def test_a_dict_with_logits_is_completed():
    model = nested()
    pool, classes = model.get_layer("pool").output, model.output
    found = named(keras.Model(model.input, {"logits": classes, "embedding": pool}), ["backbone"])
    assert set(found.output) == {"logits", "embedding", *MAPS}


def small(*layers):
    return keras.Sequential([keras.Input(SHAPE), *layers], name="small")


class Subclassed(keras.Model):
    def call(self, images):
        return images


RELU = keras.layers.ReLU(name="relu")
WRONG = {
    "an unknown layer": (nested, ["backbone/rellu_1"], r"no layer backbone/rellu_1\. Did you mean backbone/relu_1\? "
                         r"Layers that would serve: backbone/relu_1 \(8x8x4\), backbone \(4x4x6\)\."),
    "no map": (nested, ["pool"], r"model\.student\.points: pool returns 6, not a feature map\. Layers"),
    "wrong order": (nested, ["backbone", "backbone/relu_1"], "not in the order of the network"),
    "used twice": (lambda: small(RELU, keras.layers.Conv2D(3, 3), RELU, keras.layers.Flatten(), keras.layers.Dense(5)),
                   ["relu"], "relu is used 2 times"),
    "another number of classes": (lambda: small(keras.layers.Flatten(), keras.layers.Dense(7)), None,
                                  r"small returns \(None, 7\); it must return the logits of 5 classes"),
    "several outputs": (lambda: keras.Model(HAND_MADE["vgg"].input, HAND_MADE["vgg"].output["post"]), None,
                        "several outputs"),
    "an activation": (lambda: nested("sigmoid"), None, "the last layer, classes, has an activation"),
    "a subclassed model": (Subclassed, None, "returns Subclassed, whose layers cannot be found"),
    "no model": (lambda: 3, None, "returns int"),
    "another image": (lambda: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(5)]),
                      None, r"takes \[\(8, 8, 3\)\]; it must take images of shape \(16, 16, 3\)"),
    "half of the maps": (lambda: keras.Model(HAND_MADE["vgg"].input, {n: HAND_MADE["vgg"].output[n]
                         for n in ("logits", "post")}), None, "has no pre and no passed"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_serve_is_refused(name):
    build, points, message = WRONG[name]
    with pytest.raises(ConfigError, match=message):
        named(build(), points)


class Doubled(keras.layers.Layer):
    def call(self, features):
        return 2 * features


@pytest.mark.parametrize("layer", [Doubled(), keras.layers.Lambda(lambda features: 2 * features)])
def test_layers_that_no_file_could_bring_back_are_refused(layer):
    with pytest.raises(ConfigError, match=r"does not load|register_keras_serializable"):
        named(small(layer, keras.layers.Flatten(), keras.layers.Dense(5)))
