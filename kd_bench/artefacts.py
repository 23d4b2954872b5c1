"""The files that a run leaves beside its record: the trained network and its predictions."""

import io
import tempfile
from pathlib import Path

import keras
import numpy as np

from kd_bench.errors import DamageError
from kd_bench.report import NETWORK_NAME, PREDICTIONS_NAME
from kd_bench.runs.files import write_atomically


def save_network(directory: Path, network: keras.Model) -> None:
    """Writes the network as a Keras file.

    Raises:
        StorageError: it cannot be written.
    """
    # Elsewhere first: the HDF5 library does not survive a full disk.
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, NETWORK_NAME)
        network.save(written)
        write_atomically(directory / NETWORK_NAME, written.read_bytes())


def load_weights(directory: Path, network: keras.Model) -> None:
    """Gives the network the weights that a run left.

    Raises:
        DamageError: they are of another network, such as one with another number of classes.
    """
    path = directory / NETWORK_NAME
    try:
        network.load_weights(path)
    except (OSError, ValueError, KeyError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise DamageError(
            f"{path}: is of another network than this run's teacher ({reason}); is the data set's number of classes "
            f"another one? Delete the folder {directory} to train the teacher again, or set another outputs=."
        ) from problem


def save_predictions(directory: Path, predictions: np.ndarray) -> None:
    """Writes the classes of the test images, `[N]`.

    Raises:
        StorageError: they cannot be written.
    """
    stream = io.BytesIO()
    np.save(stream, predictions, allow_pickle=False)
    write_atomically(directory / PREDICTIONS_NAME, stream.getvalue())
