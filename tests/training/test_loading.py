"""A teacher from a Keras file: what it returns for the images of the batches, and which files are refused."""

import keras
import numpy as np
import pytest
from helpers.methods import one_step, small_batch
from keras import layers

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError
from kd_bench.networks.wide_resnet import wide_resnet
from kd_bench.training.loading import accuracy_warnings, as_teacher, load_model, require_no_probabilities
from kd_bench.training.saving import save_network

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
MEAN, STD = np.float32([80, 90]), np.float32([30, 40])
SHAPE, CLASSES = (8, 8, 2), 10


@pytest.fixture
def load(tmp_path):
    """Saves a model and loads it as a teacher."""

    def saved_and_loaded(model, normalisation="none", **named):
        model.save(tmp_path / "mine.keras")
        return as_teacher(load_model(tmp_path / "mine.keras"), SHAPE, CLASSES, MEAN, STD, normalisation, **named)

    return saved_and_loaded


@pytest.fixture
def pixels(generator):
    return generator.integers(0, 256, (4, *SHAPE), np.uint8)


def network(shape=SHAPE, width=1):
    return wide_resnet(shape, CLASSES, depth=10, width=width, stem_channels=8, stem_stride=1)


def sequential(*last, classes=CLASSES, shape=SHAPE):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(classes), *last])


def test_a_network_of_a_run_returns_all_its_outputs(tmp_path, pixels):
    trained = network()
    save_network(tmp_path / "network.keras", trained, MEAN, STD)
    teacher = as_teacher(load_model(tmp_path / "network.keras"), SHAPE, CLASSES, MEAN, STD, "none")
    images = (pixels - MEAN) / STD
    found, expected = teacher(images), trained(images)
    assert found.keys() == expected.keys()
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("normalisation", "scaled"),
    {
        "none": lambda pixels: pixels,
        "zero_to_one": lambda pixels: pixels / 255,
        "minus_one_to_one": lambda pixels: pixels / 127.5 - 1,
        "dataset": lambda pixels: (pixels - MEAN) / STD,
    }.items(),
)
def test_the_network_gets_images_on_its_scale(load, pixels, normalisation, scaled):
    model = sequential()
    teacher = load(model, normalisation)
    found = teacher((pixels - MEAN) / STD)["logits"]
    np.testing.assert_allclose(found, model(scaled(pixels.astype(np.float32))), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("softmax", [layers.Softmax(), layers.Activation("softmax")])
def test_a_softmax_at_the_end_is_removed(load, pixels, softmax):
    model = sequential(softmax)
    logits = keras.Model(model.inputs[0], model.layers[-2].output)
    found = load(model)((pixels - MEAN) / STD)["logits"]
    np.testing.assert_allclose(found, logits(pixels.astype(np.float32)), rtol=1e-4, atol=1e-3)


def test_it_has_the_maps_of_the_layers_that_are_named(load, pixels):
    images = keras.Input(SHAPE)
    fine = layers.Conv2D(3, 3, activation="relu", name="fine")(images)
    vector = layers.Dense(5, name="vector")(layers.Flatten()(fine))
    model = keras.Model(images, layers.Dense(CLASSES)(layers.ReLU()(vector)))
    teacher = load(model, points=["fine"], embedding="vector")
    expected = keras.Model(images, [fine, vector])(pixels.astype(np.float32))
    found = teacher((pixels - MEAN) / STD)
    for one, other in zip((*found["post"], found["embedding"]), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_probabilities_that_the_last_layer_does_not_show_are_refused():
    require_no_probabilities(np.float32([[0.7, 0.5], [0.5, 0.5]]))
    with pytest.raises(ConfigError, match=r"^teacher\.path: the network returns probabilities, not logits"):
        require_no_probabilities(np.float32([[0.7, 0.3], [0.5, 0.5]]))


def two_inputs():
    images = [keras.Input(SHAPE), keras.Input(SHAPE)]
    return keras.Model(images, layers.Dense(CLASSES)(layers.Flatten()(layers.Add()(images))))


def two_outputs():
    model = sequential()
    return keras.Model(model.inputs[0], [model.outputs[0], model.layers[0].output])


REFUSED = [
    (lambda: sequential(classes=7), r"teacher: \w+ returns \(None, 7\); it must return the logits of 10 classes"),
    (
        lambda: sequential(shape=(9, 9, 2)),
        r"teacher: \w+ takes \[\(9, 9, 2\)\]; it must take images of",
    ),
    (two_inputs, r"teacher: \w+ takes \[\(8, 8, 2\), \(8, 8, 2\)\]; it must take images"),
    (
        lambda: sequential(layers.Lambda(lambda logits: 2 * logits)),
        r"teacher\.path=\S*mine\.keras: cannot be loaded; a layer",
    ),
    (two_outputs, r"teacher: \w+ returns several outputs"),
]


@pytest.mark.parametrize(("model", "problem"), REFUSED)
def test_what_a_teacher_cannot_be(load, model, problem):
    with pytest.raises(ConfigError, match=f"^{problem}"):
        load(model())


def test_a_damaged_file_is_refused(tmp_path):
    sequential().save(tmp_path / "mine.keras")
    content = bytearray((tmp_path / "mine.keras").read_bytes())
    content[200:400] = bytes(200)
    (tmp_path / "mine.keras").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        as_teacher(load_model(tmp_path / "mine.keras"), SHAPE, CLASSES, MEAN, STD, "none")


def test_an_accuracy_near_guessing_is_doubted():
    labels = np.repeat(np.arange(10), 5)
    assert accuracy_warnings(0.3, labels) == []
    assert "only 20.00%: does it take other images (teacher.normalisation)" in accuracy_warnings(0.2, labels)[0]
    assert accuracy_warnings(0.8, np.array([0, 0, 0, 1])) == []


def test_batch_statistics_change_nothing_in_the_teacher(tmp_path, generator):
    shape, path = (8, 8, 1), tmp_path / "network.keras"
    save_network(path, network(shape, width=2), MEAN[:1], STD[:1])
    teacher = as_teacher(load_model(path), shape, CLASSES, MEAN[:1], STD[:1], "none")
    before = [variable.numpy() for variable in teacher.variables]
    (config,) = jobs(["method=co"])
    distiller = config.method.build(network(shape), teacher)
    assert distiller.teacher_statistics == "batch"
    images = small_batch()[0]
    batch, inference = (distiller.teacher(images, training=training)["logits"] for training in (True, False))
    assert np.abs(batch - inference).max() > 0.1
    one_step(distiller, distiller.stages()[0])
    for old, variable in zip(before, teacher.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
