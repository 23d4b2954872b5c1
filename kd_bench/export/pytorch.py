"""Writes the state dict of a network as a checkpoint of PyTorch, without PyTorch, and reads it back.

The checkpoint is a dictionary, as those of RepDistiller and mdistiller: `model` is the state dict. `mean` and `std`, of
pixels on the scale 0 to 1, say which images the network takes.

The format is that of PyTorch since 1.6: an uncompressed archive with a pickle, `data.pkl`, and a file for each tensor.
The pickle calls PyTorch's functions by their names, which Python's pickler could write only beside PyTorch.
"""

import math
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import keras
import numpy as np

from kd_bench.config import NAMES, TARGET
from kd_bench.errors import BenchError
from kd_bench.export.finished import Finished
from kd_bench.networks.pytorch_modules import Modules, modules_of
from kd_bench.training.pytorch_file import read_state_dict
from kd_bench.training.saving import INNER, NORMALISATION
from kd_bench.training.state_dict import load_state_dict, state_dict

_STORAGES = {np.dtype(np.float32): "FloatStorage", np.dtype(np.int64): "LongStorage"}
_ARCHIVE = "network"
_WHITE = 255
"""The largest value of a pixel."""


def write(network: keras.Model, path: Path, run: Finished) -> None:
    """Writes a network as a checkpoint.

    Args:
        network: the result of `formats.load_network`.
        path: of the new file.
        run: the network's.

    Raises:
        BenchError: PyTorch's code has no such network, or would compute something else with its weights.
    """
    normalisation = network.get_layer(NORMALISATION)
    std = 1 / np.asarray(normalisation.scale)
    numbers = {"mean": -np.asarray(normalisation.offset) * std / _WHITE, "std": std / _WHITE}
    tensors = state_dict(network.get_layer(INNER), _modules(run))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{_ARCHIVE}/data.pkl", _pickled(tensors, numbers))
        archive.writestr(f"{_ARCHIVE}/byteorder", "little")
        for key, tensor in enumerate(tensors.values()):
            archive.writestr(f"{_ARCHIVE}/data/{key}", tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
        archive.writestr(f"{_ARCHIVE}/version", "3\n")


def load(path: Path, network: keras.Model, run: Finished) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what a copy of the network computes, in Keras, with the weights of a checkpoint.

    Args:
        path: of the checkpoint.
        network: the result of `formats.load_network`.
        run: the network's.
    """
    copy = keras.models.clone_model(network)
    load_state_dict(copy.get_layer(INNER), _modules(run), read_state_dict(path))
    return lambda images: np.asarray(copy(images))


def _modules(run: Finished) -> Modules:
    """Returns the modules that the run's network has in PyTorch."""
    model = run.record.config.get("model", {})
    side = next((side for side in ("student", "teacher") if side in model), None)
    if side is None:
        raise BenchError("pytorch: the run's record does not say which network it is.")
    parameters = {name: value for name, value in model[side].items() if name not in (TARGET, *NAMES)}
    return modules_of(f"model.{side}", model[side][TARGET], parameters)


def _pickled(tensors: Mapping[str, np.ndarray], numbers: Mapping[str, np.ndarray]) -> bytes:
    """Returns the pickle of the checkpoint; tensor i has its items in the file i."""
    model = [(name, _tensor(str(key), tensor)) for key, (name, tensor) in enumerate(tensors.items())]
    lists = [(name, _list(map(_float, values))) for name, values in numbers.items()]
    return b"\x80\x02" + _filled(b"}", [("model", _filled(_ORDERED, model)), *lists]) + b"."


def _tensor(key: str, tensor: np.ndarray) -> bytes:
    """Returns the call that makes a contiguous tensor of the storage with this key."""
    kind = b"ctorch\n%s\n" % _STORAGES[tensor.dtype].encode()
    storage = _tuple([_text("storage"), kind, _text(key), _text("cpu"), _integer(tensor.size)]) + b"Q"
    strides = [math.prod(tensor.shape[axis + 1 :]) for axis in range(tensor.ndim)]
    shape, steps = (_tuple(map(_integer, sizes)) for sizes in (tensor.shape, strides))
    without_gradient, hooks = b"\x89", _ORDERED
    arguments = _tuple([storage, _integer(0), shape, steps, without_gradient, hooks])
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


_ORDERED = b"ccollections\nOrderedDict\n)R"
"""The call that makes an empty ordered dictionary."""


def _filled(empty: bytes, items: Iterable[tuple[str, bytes]]) -> bytes:
    return empty + b"(" + b"".join(_text(name) + value for name, value in items) + b"u"


def _tuple(items: Iterable[bytes]) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _list(items: Iterable[bytes]) -> bytes:
    return b"](" + b"".join(items) + b"e"


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def _float(number: float) -> bytes:
    return b"G" + struct.pack(">d", number)
