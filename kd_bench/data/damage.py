"""One way to say that a prepared folder cannot be used, and the one check of it that TensorFlow Datasets lacks."""

import contextlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import json_format  # type: ignore[import-untyped]
from tensorflow_datasets.core import file_adapters

from kd_bench.errors import DataError

UNREADABLE = (
    OSError,  # a file is missing, or may not be read
    ValueError,  # features.json is cut short, or the set has no such configuration
    TypeError,  # the set takes no such argument
    AssertionError,  # the set has no such version, or dataset_info.json is of another one
    ImportError,  # a package that this set alone needs
    RuntimeError,  # stands for an error that cannot be raised again with more text, such as a UnicodeDecodeError
    json_format.Error,  # dataset_info.json is cut short
    tf.errors.OpError,  # records are cut short or altered, or are not as many as dataset_info.json says
)
"""What TensorFlow Datasets raises over a damaged folder, or over a name that it does not know."""

_NOISE = re.compile(r'Failed to construct dataset .*?\}": |\{\{.*?\}\}\s*|\s*\[Op:.*')


@contextlib.contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Names the folder in whatever goes wrong while it is read.

    Args:
        folder: what to delete if it cannot be read: the files of a set belong together.

    Raises:
        DataError: in one line, with the reason and what to do.
    """
    try:
        yield
    except DataError:  # says it already
        raise
    except UNREADABLE as error:
        way_out = "delete it to have it prepared again, or copy it again"
        raise DataError(f"{folder}: cannot be used: {reason(error)}; {way_out}.") from error


def reason(error: Exception) -> str:
    """Returns the kind and the text of an error, in one line of bearable length."""
    return f"{type(error).__name__}: {text(error)}"


def text(error: Exception) -> str:
    """Returns the text of an error, in one line of bearable length."""
    return textwrap.shorten(_NOISE.sub("", str(error)).rstrip(". "), 400, placeholder=" …")


def require_whole_slices(builder: tfds.core.DatasetBuilder, split: str) -> None:
    """Refuses a file of another length than the metadata say, if the split takes a slice of it.

    The same slice of such a file holds other images, and nothing else notices. TensorFlow Datasets counts only files
    that it reads whole.

    Raises:
        ValueError: naming the file.
    """
    adapter = file_adapters.ADAPTER_FOR_FORMAT[builder.info.file_format]
    for shard in builder.info.splits[split].file_instructions:
        if shard.skip or not shard.takes_all:
            count = int(adapter.make_tf_data(shard.filename).reduce(np.int64(0), lambda number, _: number + 1))
            if count != shard.examples_in_shard:
                raise ValueError(f"{shard.filename} holds {count} images, not {shard.examples_in_shard}")
