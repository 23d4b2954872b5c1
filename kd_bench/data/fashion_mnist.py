"""Fashion-MNIST from files that are already on disk, compressed or not.

Debian's `dataset-fashion-mnist` has the four original files with new gzip headers. TensorFlow Datasets refuses them,
because it knows only the digests of the archives. Here the digests of the contents are checked instead, so that the
prepared set, in the same folder, is the same as after a download.
"""

import gzip
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from kd_bench.errors import DataError

CONTENTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of each file without compression. They are needed because MNIST's files have the same names and shapes.

They belong to the files that TensorFlow Datasets registers: Debian's archives have the registered digests if the
missing names and times (31 August 2017) are put back into their headers.
"""


class ManualFashionMNIST(tfds.image_classification.FashionMNIST, skip_registration=True):  # type: ignore[call-arg]
    """The set `fashion_mnist` of TensorFlow Datasets, read from `manual_dir` instead of the network."""

    name = "fashion_mnist"
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Put {', '.join(CONTENTS)}, with or without .gz, into one folder."

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        folder = Path(dl_manager.manual_dir)
        return {"train": self._generate_examples(folder, "train"), "test": self._generate_examples(folder, "t10k")}

    def _generate_examples(self, folder: Path, prefix: str) -> Iterator[tuple[int, dict[str, Any]]]:
        images = read_idx(folder, f"{prefix}-images-idx3-ubyte")
        labels = read_idx(folder, f"{prefix}-labels-idx1-ubyte")
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image[..., np.newaxis], "label": int(label)}


def find_idx(folder: Path, name: str) -> Path:
    """Returns the path of an IDX file, with or without `.gz`.

    Raises:
        DataError: the folder has neither file.
    """
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise DataError(
        f"dataset.manual_dir={folder}: has no {name}.gz or {name}; fashion_mnist needs "
        f"{', '.join(CONTENTS)}, with or without .gz."
    )


def read_idx(folder: Path, name: str) -> np.ndarray:
    """Reads one of the four files.

    Args:
        folder: the folder of the file, which may end in `.gz`.
        name: a key of `CONTENTS`.

    Returns:
        The images, uint8 [N, 28, 28], or the labels, uint8 [N].

    Raises:
        DataError: the file is missing, cannot be unpacked, or is not Fashion-MNIST's.
    """
    path = find_idx(folder, name)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"dataset.manual_dir={folder}: {path.name} cannot be read: {error}. Copy it again.") from error
    if hashlib.sha256(content).hexdigest() != CONTENTS[name]:
        raise DataError(f"dataset.manual_dir={folder}: {path.name} is not Fashion-MNIST's (its SHA-256 differs).")
    return parse_idx(content)


def parse_idx(content: bytes) -> np.ndarray:
    """Reads the IDX format: two zero bytes, a type (8: uint8), the rank, the sizes as big-endian int32, the values.

    Raises:
        DataError: the header is not that of uint8 values, or the number of values is not the one in the header.
    """
    rank = content[3] if content[:3] == b"\x00\x00\x08" else 0
    values = np.frombuffer(content, np.uint8, offset=min(len(content), 4 + 4 * rank))
    shape = [int.from_bytes(content[start : start + 4], "big") for start in range(4, 4 + 4 * rank, 4)]
    if not rank or len(content) < 4 + 4 * rank or values.size != math.prod(shape):
        raise DataError(f"Not an IDX file of uint8 values: its header says {shape}, but {values.size} values follow.")
    return values.reshape(shape)
