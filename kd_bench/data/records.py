"""The encoded images of a set of TensorFlow Datasets by number, from ArrayRecord and TFRecord files."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.file_adapters import FileFormat
from tensorflow_datasets.core.utils.shard_utils import FileInstruction

_LENGTH, _CHECKSUM = 8, 4
"""Bytes before a record's data: its length and that length's checksum, which also follows the data."""


class ByNumber(Protocol):
    """Records that can be read in any order."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> bytes: ...


class TFRecords:
    """The records of a split in TFRecord files, which have no index: one is made by going from record to record."""

    def __init__(self, shards: Sequence[FileInstruction]) -> None:
        """Makes the index.

        Args:
            shards: the files of the split, and which of their records it has.

        Raises:
            ValueError: a file is cut short or has another number of records than its set says.
            OSError: a file cannot be read.
        """
        self._paths = [str(shard.filename) for shard in shards]
        places = [_places(path) for path in self._paths]
        for shard, found in zip(shards, places, strict=True):
            if len(found) != shard.examples_in_shard:
                raise ValueError(f"{shard.filename} holds {len(found)} images, not {shard.examples_in_shard}")
        self._shards = np.repeat(np.arange(len(shards), dtype=np.int32), [shard.take for shard in shards])
        chosen = [found[shard.skip :][: shard.take] for shard, found in zip(shards, places, strict=True)]
        self._places = np.concatenate(chosen)

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, row: int) -> bytes:
        start, length = self._places[row].tolist()
        with Path(self._paths[self._shards[row]]).open("rb", buffering=0) as stream:
            stream.seek(start)
            return stream.read(length)


class Records:
    """The images in the records of a split."""

    advice = "prepare the set again, or copy it again"

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str, keys: tuple[str, str]) -> None:
        """Finds the records.

        Args:
            builder: of a prepared set.
            split: its name, or a slice.
            keys: the names of the image feature and of the label feature.

        Raises:
            ValueError: the files have a format in which records cannot be found by number, or are damaged.
            OSError: a file cannot be read.
        """
        self.source = f"dataset.name={builder.name}"
        self._records, self._split = _records(builder, split), split
        self._image, self._label = keys

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, row: int) -> tuple[bytes, int]:
        features = tf.train.Example.FromString(self._records[int(row)]).features.feature
        return features[self._image].bytes_list.value[0], features[self._label].int64_list.value[0]

    def name(self, row: int) -> str:
        """Returns what a message calls an image."""
        return f"image {row} of {self._split}"


def _records(builder: tfds.core.DatasetBuilder, split: str) -> ByNumber:
    if builder.info.file_format == FileFormat.TFRECORD:
        return TFRecords(builder.info.splits[split].file_instructions)
    return builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)


def _places(path: str) -> np.ndarray:
    """Returns the start and the length of the data of each record in a TFRecord file, int64 [N, 2]."""
    places = list(_walk(path))
    return np.array(places, np.int64).reshape(-1, 2)


def _walk(path: str) -> Iterator[tuple[int, int]]:
    size, start = Path(path).stat().st_size, 0
    with Path(path).open("rb", buffering=0) as stream:
        while start < size:
            stream.seek(start)
            head = stream.read(_LENGTH)
            length = struct.unpack("<Q", head)[0] if len(head) == _LENGTH else size
            start += _LENGTH + _CHECKSUM
            if start + length + _CHECKSUM > size:
                raise ValueError(f"{path} is cut short")
            yield start, length
            start += length + _CHECKSUM
