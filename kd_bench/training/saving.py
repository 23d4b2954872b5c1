"""Saves and loads networks as Keras files."""

import tempfile
from pathlib import Path

import keras
import numpy as np

from kd_bench.errors import DamageError
from kd_bench.layers import BatchNormalization
from kd_bench.runs.files import storing, write_atomically
from kd_bench.training.keras_file import load_keras_file

READY_TO_USE, NORMALISATION, INNER = "ready_to_use", "normalisation", "network"
"""The names of a saved model and of its layers. The last one is the trained network, with all of its outputs."""

_REMEDY = (
    "Free some space there, or set the environment variable TMPDIR to another folder; then run the same command again: "
    "the network is not trained again."
)


def save_network(path: Path, network: keras.Model, mean: np.ndarray, std: np.ndarray) -> None:
    """Writes a network that takes images on the scale 0 to 255, as a Keras file that loads without this package.

    Args:
        path: the path of the file.
        network: from normalised images `[B,H,W,C]` to outputs, among them `logits`.
        mean: mean of each channel, `[C]`, on the scale 0 to 255.
        std: standard deviation of each channel, `[C]`.

    Raises:
        StorageError: the file cannot be written.
    """
    # First to a temporary folder, because the HDF5 library crashes on a full disk.
    temporary = Path(tempfile.gettempdir())
    with storing(temporary, _REMEDY), tempfile.TemporaryDirectory(dir=temporary) as folder:
        written = Path(folder, path.name)
        ready_to_use(network, mean, std).save(written)
        content = written.read_bytes()
    write_atomically(path, content)


def ready_to_use(network: keras.Model, mean: np.ndarray, std: np.ndarray) -> keras.Model:
    """Returns a copy of a network from images on the scale 0 to 255, `[B,H,W,C]`, to logits `[B,K]`.

    It normalises the images itself, and has only Keras's layers in float32. The arguments are those of `save_network`.
    """

    def plain(layer: keras.layers.Layer) -> keras.layers.Layer:
        layer_class = keras.layers.BatchNormalization if isinstance(layer, BatchNormalization) else type(layer)
        config = layer.get_config()
        return layer_class.from_config(config | {"dtype": "float32"} if "dtype" in config else config)

    inner = keras.models.clone_model(network, clone_function=plain, recursive=True)
    inner.set_weights(network.get_weights())
    inner = keras.Model(inner.inputs, inner.output, name=INNER)
    images = keras.Input(network.input_shape[1:], dtype="float32", name="images")
    normalised = keras.layers.Normalization(mean=mean, variance=std**2, dtype="float32", name=NORMALISATION)(images)
    return keras.Model(images, inner(normalised)["logits"], name=READY_TO_USE)


def _to_logits(network: keras.Model) -> keras.Model:
    """Returns a model of the same layers that returns only logits, because the outputs determine the weights' order."""
    logits = network.output["logits"] if isinstance(network.output, dict) else network.output
    return keras.Model(network.inputs, logits)


def load_weights(path: Path, network: keras.Model) -> None:
    """Loads the weights of a file of `save_network`, or of a file of the network alone, into the network.

    Raises:
        DamageError: they belong to another network, for example one with another number of classes.
    """
    try:
        saved = load_keras_file(path)
        layers = {layer.name: layer for layer in saved.layers}
        _to_logits(network).set_weights(_to_logits(layers.get(INNER, saved)).get_weights())
    except (ValueError, TypeError, KeyError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise DamageError(
            f"{path}: belongs to another network than this run's teacher ({reason}); does the data set have another "
            f"number of classes? Delete the folder {path.parent} to train the teacher again, or set another outputs=."
        ) from problem
