"""Opens Keras files, which anybody may have made: nothing in them is executed, or needs far more memory than disk."""

import io
import re
import zipfile
import zlib
from pathlib import Path

import h5py
import keras
import tensorflow as tf

from kd_bench.checks import check
from kd_bench.documents import read_json

_CONTENT, _WEIGHTS, _METADATA = "config.json", "model.weights.h5", "metadata.json"
_SMALL, _RATIO = 256 * 2**20, 20
"""What a file may unpack to: this many bytes, or this many times its own size. Weights hardly compress."""
_PROBLEMS = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, EOFError),
    *(MemoryError, zipfile.BadZipFile, zlib.error, tf.errors.OpError),
)
"""What Keras, zipfile and h5py raise on files that were not made by `save`."""


_CONVERSION = (
    "with the package tf_keras, save it as HDF5: tf_keras.models.load_model('old.keras').save('old.h5'); then with "
    "keras: keras.models.load_model('old.h5', compile=False).save('new.keras')"
)
"""What to do with a file of Keras 2. HDF5 is the one format that both versions read."""


class OtherKerasError(ValueError):
    """A file cannot be loaded, and another version of Keras saved it; the message says which, and what to do."""


def load_keras_file(path: Path) -> keras.Model:
    """Returns the model of a Keras file, in Keras's safe mode.

    Raises:
        OtherKerasError: it cannot be loaded, and Keras 2 or a newer Keras saved it.
        ValueError: it cannot be loaded; the message is one line.
    """
    try:
        _require_usual_size(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except _PROBLEMS as problem:
        if advice := _advice(_saved_by(path)):
            raise OtherKerasError(advice) from problem
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ValueError(lines[0]) from problem


def _advice(version: str) -> str:
    """Returns what to do with a file that this version of Keras saved; nothing if the version is no reason."""
    saved = f"was saved by Keras {version} and cannot be loaded by Keras {keras.__version__}; "
    if version.startswith("2."):
        return saved + _CONVERSION
    return f"{saved}save it with this version" if _numbers(version) > _numbers(keras.__version__) else ""


def _numbers(version: str) -> tuple[int, ...]:
    """Returns the first two numbers of a version."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _saved_by(path: Path) -> str:
    """Returns the version of Keras that saved a file, as the file says; 0.0 if it does not."""
    try:
        with zipfile.ZipFile(path) as archive:
            version = read_json(archive.read(_METADATA))["keras_version"]
    except _PROBLEMS:
        return "0.0"
    return version if isinstance(version, str) and re.fullmatch(r"\d{1,3}\.\d{1,3}[\w.+-]{0,20}", version) else "0.0"


def _require_usual_size(path: Path) -> None:
    """Raises `ValueError` if a file unpacks to far more than its size, or describes its network too deeply."""
    limit = max(_SMALL, _RATIO * path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        _require_size(sum(member.file_size for member in archive.infolist()), limit)
        check(_CONTENT, read_json(archive.read(_CONTENT)), dict)
        if _WEIGHTS in archive.namelist():
            _require_size(_size_of_weights(archive.read(_WEIGHTS)), limit)


def _size_of_weights(content: bytes) -> int:
    """Returns the bytes of all arrays in an HDF5 file, which may compress them or store only their shapes."""
    sizes = []
    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(lambda _, item: sizes.append(item.nbytes if isinstance(item, h5py.Dataset) else 0))
    return sum(sizes)


def _require_size(size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(f"it unpacks to {size} bytes, which no saved network does")
