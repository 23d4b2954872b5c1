"""Images that stay encoded, as they are in their files, until a batch needs them."""

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import tensorflow as tf

from kd_bench.data.framing import Framing
from kd_bench.data.headers import require_image, stated_size
from kd_bench.data.images import Images
from kd_bench.data.orientation import orientation
from kd_bench.data.user_images import readable
from kd_bench.errors import DataError

_BLOCK = 1024
_REMEMBERED = 4096
"""Files that a pipeline has read last: it reads some batches in advance."""
_Result = TypeVar("_Result")


class Files(Protocol):
    """Encoded images with their labels by number, in memory or on disk.

    Attributes:
        source: the key and the value that name the images, for messages.
        advice: what to do about an image that cannot be read.
    """

    source: str
    advice: str

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> tuple[bytes, int]: ...

    def name(self, row: int) -> str:
        """Returns what a message calls an image."""


class Paths:
    """Image files on disk. A million of them take little more memory than their paths have letters."""

    advice = "replace it, or move it out of the folder"

    def __init__(self, source: str, paths: Sequence[Path], labels: Sequence[int]) -> None:
        self.source = source
        self._labels = np.array(labels, np.int32)
        self._paths = np.array([os.fsencode(path) for path in paths])

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> tuple[bytes, int]:
        return Path(self.name(row)).read_bytes(), int(self._labels[row])

    def name(self, row: int) -> str:
        """Returns the path of a file."""
        return os.fsdecode(self._paths[row].item())

    def size_on_disk(self) -> int:
        """Returns how many bytes all files have together."""
        return sum(Path(self.name(row)).stat().st_size for row in range(len(self)))


class InMemory:
    """The content of files, read once."""

    def __init__(self, files: Files) -> None:
        self.source = files.source
        self.advice = files.advice
        self.name = files.name
        self._content = [*_of_each(range(len(files)), partial(_read, files))]

    def __len__(self) -> int:
        return len(self._content)

    def __getitem__(self, row: int) -> tuple[bytes, int]:
        return self._content[row]


class EncodedPixels:
    """What looks like an array uint8 `[M,H,W,C]` of the images as they are tested, and decodes what is read.

    Attributes:
        files: M of them.
        framing: how they get one size.
        shape: `[M,H,W,C]`.
        size: the number of values.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: Files, framing: Framing) -> None:
        self.files = files
        self.framing = framing
        size = self._decoded(0).shape[:2] if framing.size is None else (framing.size, framing.size)
        self.shape = (len(files), *size, framing.channels)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self._latest: deque[int] = deque(maxlen=_REMEMBERED)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Returns the images of these rows, uint8 `[B,H,W,C]`.

        Raises:
            DataError: one cannot be decoded, or has another size and none is set.
        """
        chosen = range(len(self))[rows] if isinstance(rows, slice) else rows
        pixels = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for place, image in enumerate(_of_each(chosen, self._pixels)):
            pixels[place] = image
        return pixels

    def read(self, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns what a `Framing` takes: the content of a file, its size int32 `[2]` and its orientation int32."""
        types = [tf.string, tf.int32, tf.int32]
        data, stored, stated = tf.numpy_function(self._file, [row], types, stateful=False)
        return tf.ensure_shape(data, []), tf.ensure_shape(stored, [2]), tf.ensure_shape(stated, [])

    def require_latest(self) -> None:
        """Raises `DataError`, with its name, if one of the files that a pipeline has read last cannot be decoded."""
        for row in reversed([*self._latest]):
            self._decoded(row)

    def _pixels(self, row: int) -> np.ndarray:
        pixels = self._decoded(row)
        if pixels.shape != self.shape[1:]:
            raise DataError(
                f"{self.files.source}: its images vary in size: {self.files.name(0)} has {_size(self.shape[1:])} "
                f"pixels, {self.files.name(row)} has {_size(pixels.shape)}; set a size, such as dataset.image_size=32."
            )
        return pixels

    def _decoded(self, row: int) -> np.ndarray:
        data, _ = _read(self.files, row)
        with _reading(self.files, row):
            return self.framing.whole(tf.constant(data), tf.constant(orientation(data))).numpy()

    def _file(self, row: int) -> tuple[bytes, np.ndarray, np.int32]:
        self._latest.append(row)
        with _reading(self.files, row):
            data, _ = self.files[row]
            return data, np.array(stated_size(data), np.int32), np.int32(orientation(data))


def encoded_images(files: Files, framing: Framing) -> Images:
    """Returns images that stay encoded.

    If random crops are made of the files, digests are of their bytes, so that none has to be decoded before training.
    Otherwise digests are of the pixels, as for images in memory, so that both are the same set.

    Args:
        files: N of them, read once, a few at a time.
        framing: how they get one size.

    Raises:
        DataError: a file is not a sound image.
    """

    def content(row: int) -> tuple[int, bytes]:
        data, label = _read(files, row)
        return label, hashlib.blake2b(data + label.to_bytes(4, "little"), digest_size=8).digest()

    labels, digests = zip(*_of_each(range(len(files)), content), strict=True)
    known = np.frombuffer(b"".join(digests), "<u8") if framing.crop else None
    return Images(EncodedPixels(files, framing), np.array(labels, np.int32), digests=known)


@contextlib.contextmanager
def naming_damage(*parts: Images) -> Iterator[None]:
    """Raises `DataError` with the name of a file, if the body fails because a pipeline cannot decode it.

    TensorFlow's own message has no name.
    """
    try:
        yield
    except tf.errors.OpError:
        for images in parts:
            if isinstance(images.pixels, EncodedPixels):
                images.pixels.require_latest()
        raise


def _read(files: Files, row: int) -> tuple[bytes, int]:
    """Reads a file, and checks that it is a sound image."""
    with _reading(files, row):
        data, label = files[row]
        require_image(data)
        return data, label


def _reading(files: Files, row: int) -> AbstractContextManager[None]:
    """Returns a context that raises `DataError`, with the name of the file, if the body cannot read it."""
    return readable(f"{files.source}: {files.name(row)} is not an image that can be read", files.advice)


def _of_each(rows: Sequence[int] | np.ndarray, result: Callable[[int], _Result]) -> Iterator[_Result]:
    """Yields the result of each row, computed by several threads."""
    with ThreadPoolExecutor() as pool:
        # In parts: a pool keeps a note of all that it is given.
        for start in range(0, len(rows), _BLOCK):
            yield from pool.map(result, rows[start : start + _BLOCK])


def _size(shape: Sequence[int]) -> str:
    return f"{shape[0]}x{shape[1]}"
