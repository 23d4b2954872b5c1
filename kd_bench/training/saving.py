"""Networks on disk, as Keras files."""

import tempfile
from pathlib import Path

import keras

from kd_bench.errors import DamageError
from kd_bench.layers import BatchNormalization
from kd_bench.runs.files import write_atomically


def save_network(path: Path, network: keras.Model) -> None:
    """Writes the network as a Keras file of Keras's own layers: it opens without this package.

    Raises:
        StorageError: it cannot be written.
    """
    # Elsewhere first: the HDF5 library does not survive a full disk.
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, path.name)
        _of_keras_layers(network).save(written)
        write_atomically(path, written.read_bytes())


def _of_keras_layers(network: keras.Model) -> keras.Model:
    """Returns a copy of the network in which the batch norms are Keras's."""

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = keras.layers.BatchNormalization if isinstance(layer, BatchNormalization) else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=copied)
    copy.set_weights(network.get_weights())
    return copy


def load_weights(path: Path, network: keras.Model) -> None:
    """Gives the network the weights in a Keras file.

    Raises:
        DamageError: they are of another network, such as one with another number of classes.
    """
    try:
        network.load_weights(path)
    except (OSError, ValueError, KeyError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise DamageError(
            f"{path}: is of another network than this run's teacher ({reason}); is the data set's number of classes "
            f"another one? Delete the folder {path.parent} to train the teacher again, or set another outputs=."
        ) from problem
