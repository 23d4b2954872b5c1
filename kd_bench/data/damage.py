"""The error for a prepared folder that cannot be used, and one check that TensorFlow Datasets does not do."""

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
    OSError,  # a file is missing, or there is no permission to read it
    ValueError,  # features.json is truncated, or the set has no such configuration
    TypeError,  # the set has no such argument
    AssertionError,  # the set has no such version, or dataset_info.json belongs to another version
    ImportError,  # a package that only this set needs is missing
    RuntimeError,  # replaces an error that cannot be raised again with more text, such as a UnicodeDecodeError
    json_format.Error,  # dataset_info.json is truncated
    tf.errors.OpError,  # records are truncated or changed, or their number differs from that in dataset_info.json
)
"""What TensorFlow Datasets raises for a damaged folder, or for an unknown name."""

_NOISE = re.compile(r'Failed to construct dataset .*?\}": |\{\{.*?\}\}\s*|\s*\[Op:.*')


@contextlib.contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Turns an error while a folder is read into an error that names the folder.

    Args:
        folder: what the user must delete if it cannot be read, because the files of a set belong together.

    Raises:
        DataError: one line, with the reason and what to do.
    """
    try:
        yield
    except DataError:  # already has a clear message
        raise
    except UNREADABLE as error:
        raise DataError(f"{folder}: cannot be used: {error_reason(error)}; {_remedy(error)}.") from error


def _remedy(error: Exception) -> str:
    """Returns what to do about a folder that cannot be read."""
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:  # TensorFlow Datasets replaces the system's error
        causes.append(cause)
    if any(isinstance(cause, PermissionError | tf.errors.PermissionDeniedError) for cause in causes):
        return "make it readable"
    return "delete it, so that it is prepared again, or copy it again"


def error_reason(error: Exception) -> str:
    """Returns the type and the text of an error, in one line, shortened."""
    return f"{type(error).__name__}: {error_text(error)}"


def error_text(error: Exception) -> str:
    """Returns the text of an error, in one line, shortened."""
    return textwrap.shorten(_NOISE.sub("", str(error)).rstrip(". "), 400, placeholder=" …")


def require_whole_slices(builder: tfds.core.DatasetBuilder, split: str) -> None:
    """Checks that each file from which the split takes a slice has as many images as the metadata say.

    In a file of another length, the same slice holds other images. TensorFlow Datasets counts only the images of files
    that it reads completely.

    Raises:
        ValueError: a file has another number of images; the message names it.
    """
    adapter = file_adapters.ADAPTER_FOR_FORMAT[builder.info.file_format]
    for shard in builder.info.splits[split].file_instructions:
        if shard.skip or not shard.takes_all:
            count = int(adapter.make_tf_data(shard.filename).reduce(np.int64(0), lambda number, _: number + 1))
            if count != shard.examples_in_shard:
                raise ValueError(f"{shard.filename} holds {count} images, not {shard.examples_in_shard}")
