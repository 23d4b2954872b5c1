"""Reads the state dict of a PyTorch checkpoint, which anybody may have made, without PyTorch.

A `.pth` is a pickle, whose instructions may name any function of any module. Here they may name only an ordered
dictionary, the kinds of a tensor's storage and the two functions that make a tensor of its storage, in whose place
functions of this module stand: nothing of the file is imported or called. Memory is needed only for tensors of the
state dict, and no more than the file has.

The formats: since PyTorch 1.6 an uncompressed archive with `data.pkl` and a file for each storage; before, one pickle
after another and then the storages (`_legacy_save` in `torch/serialization.py`). And safetensors, by their own library.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.numpy

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles of the format before PyTorch 1.6."""
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
"""PyTorch's kind of a storage -> NumPy's of its items. NumPy has no bfloat16."""
_WRAPPERS = ("model", "state_dict")
"""The keys below which a checkpoint may have the state dict."""
_PREFIX = "module."
"""What training on several devices puts before each name."""
_PUT = ("PUT", "BINPUT", "LONG_BINPUT")
_PROBLEMS = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, EOFError, OverflowError),
    *(MemoryError, zipfile.BadZipFile, pickle.UnpicklingError, safetensors.SafetensorError),
)
"""What pickle, zipfile, NumPy and safetensors raise on files that were not made by `save`."""

ReadStorage = Callable[[str], bytes]
"""Returns the bytes of a storage by its key."""


@dataclass(frozen=True)
class _Storage:
    """Where a tensor's items are: the kind of the items, and the key of their bytes."""

    dtype: str
    key: str


@dataclass(frozen=True)
class _Tensor:
    """A tensor whose items are not read yet: every `strides`-th item of a storage from the `first` one on."""

    storage: _Storage
    first: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, storage_of: ReadStorage) -> np.ndarray:
        """Returns the items, float32 or int64.

        Raises:
            ValueError: the storage does not have them.
        """
        items = _items(storage_of(self.storage.key), self.storage.dtype)
        whole = all(isinstance(number, int) and number >= 0 for number in (self.first, *self.shape, *self.strides))
        if not whole or len(self.shape) != len(self.strides) or math.prod(self.shape) > items.size:
            raise ValueError("a tensor has more items than its storage")
        last = self.first + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if math.prod(self.shape) and last >= items.size:
            raise ValueError("a tensor reaches beyond its storage")
        strides = [stride * items.itemsize for stride in self.strides]
        found = np.lib.stride_tricks.as_strided(items[self.first :], self.shape, strides, writeable=False)
        return found.astype(np.float32 if found.dtype.kind == "f" else np.int64)


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a checkpoint by their names, float32 or int64, without a wrapper and a prefix.

    Args:
        path: a file of `torch.save` or of safetensors.

    Raises:
        ValueError: it is no such file, or holds anything else but tensors and plain values; the message is one line.
    """
    try:
        if path.suffix == ".safetensors":
            tensors: Mapping[str, Any] = safetensors.numpy.load_file(path)
            found = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
        elif zipfile.is_zipfile(path):
            found = _read_archive(path)
        else:
            with path.open("rb") as file:
                found = _read_legacy(file, path.stat().st_size)
    except _PROBLEMS as problem:
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ValueError(f"cannot be read as PyTorch's or safetensors' file ({lines[0].rstrip('.')})") from problem
    whole = all(name.startswith(_PREFIX) for name in found)
    return {name.removeprefix(_PREFIX) if whole else name: tensor for name, tensor in found.items()}


def _read_archive(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("its archive is compressed")
        (pickled,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        folder = pickled.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")
        saved = _unpickled(io.BytesIO(archive.read(pickled)), path.stat().st_size)
        return _tensors(saved, lambda key: archive.read(f"{folder}data/{key}"))


def _read_legacy(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    if _unpickled(file, size) != _MAGIC or _unpickled(file, size) != _PROTOCOL:
        raise ValueError("it does not begin as such a file does")
    if _unpickled(file, size).get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    kinds: dict[str, str] = {}
    saved, storages = _unpickled(file, size, kinds), {}
    for key in _unpickled(file, size):
        length = int.from_bytes(file.read(8), "little") * _itemsize(kinds[key])
        if length > size - file.tell():
            raise ValueError("it is cut short")
        storages[key] = file.read(length)
    return _tensors(saved, storages.__getitem__)


def _tensors(saved: Any, storage_of: ReadStorage) -> dict[str, np.ndarray]:
    """Returns the tensors of the state dict in what was saved, or of what was saved itself."""
    wrapped = [saved[name] for name in _WRAPPERS if isinstance(saved, dict) and isinstance(saved.get(name), dict)]
    found = wrapped[0] if wrapped else saved
    if not isinstance(found, dict) or not any(isinstance(tensor, _Tensor) for tensor in found.values()):
        raise ValueError(f"it has no state dict, neither itself nor as {' or '.join(map(repr, _WRAPPERS))}")
    if other := [name for name, tensor in found.items() if not (isinstance(name, str) and isinstance(tensor, _Tensor))]:
        raise ValueError(f"{other[0]!s:.50} of its state dict is no tensor")
    return {name: tensor.read(storage_of) for name, tensor in found.items()}


def _unpickled(file: BinaryIO, size: int, kinds: dict[str, str] | None = None) -> Any:
    """Returns what the next pickle of a file describes, with a `_Tensor` for each tensor.

    Args:
        file: where it begins; afterwards, where it ends.
        size: of the whole file. A pickle that wants to remember more things than that wants only memory.
        kinds: gets the kinds of the storages' items by the storages' keys.

    Raises:
        ValueError, pickle.UnpicklingError: it is no pickle, or needs anything else but tensors and plain values.
    """
    start = file.tell()
    for instruction, argument, _ in pickletools.genops(file):
        if instruction.name in _PUT and int(argument or 0) > size:
            raise ValueError("it remembers more than it holds")
    file.seek(start)
    return _Unpickler(file, {} if kinds is None else kinds).load()


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors and plain values, and refuses everything else."""

    def __init__(self, file: BinaryIO, kinds: dict[str, str]) -> None:
        super().__init__(file)
        self._kinds = kinds

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands for a global name of the pickle."""
        if module == "torch" and name in _DTYPES:
            return name
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"it holds {module}.{name}, which is no tensor and is not executed; save the state dict alone"
            )
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """Returns a storage: the pickle has its kind, key, device and size, and before PyTorch 1.6 the part viewed."""
        tag, kind, key, _, _, *view = pid
        if tag != "storage" or kind not in _DTYPES or not isinstance(key, str) or any(view):
            raise pickle.UnpicklingError("it has a storage of an unknown kind")
        self._kinds[key] = _DTYPES[kind]
        return _Storage(_DTYPES[kind], key)


def _rebuilt(storage: _Storage, first: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    """Stands for `torch._utils._rebuild_tensor_v2`."""
    return _Tensor(storage, first, tuple(shape), tuple(strides))


def _parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    """Stands for `torch._utils._rebuild_parameter`."""
    return tensor


_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}


def _items(content: bytes, dtype: str) -> np.ndarray:
    """Returns the items of a storage; those in bfloat16, which are the upper halves of float32, in float32."""
    if dtype != "bfloat16":
        return np.frombuffer(content, dtype)
    return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
