"""Finds out whether a prepared folder is whole, and which of its files is not.

TensorFlow Datasets takes much of a folder on trust: that its metadata are of the set it is filed under, that the code
and `features.json` say the same, that a file of which it reads a slice is as long as `dataset_info.json` says. What it
does find, it reports by a dozen kinds of errors, most of which do not name the file.
"""

import re
import textwrap
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import json_format  # type: ignore[import-untyped]
from tensorflow_datasets.core import constants, file_adapters
from tensorflow_datasets.core.utils.shard_utils import FileInstruction

from kd_bench.errors import DataError

METADATA = ("dataset_info.json", "features.json")
"""The files that each prepared folder has beside its records."""

UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    RuntimeError,
    json_format.Error,
    tf.errors.OpError,
)
"""What TensorFlow Datasets raises over metadata that it did not write, or not to the end."""

_TENSORFLOW_NOISE = re.compile(r"\{\{.*?\}\}\s*|\s*\[Op:.*")


def unusable(place: Path, problem: str, folder: Path) -> DataError:
    """Returns the error for a prepared folder that cannot be used.

    Args:
        place: the file at fault, or the folder.
        problem: what is wrong with it.
        folder: what to delete, since the files of a set belong together.
    """
    return DataError(f"{place}: cannot be used: {problem}; {way_out(folder)}.")


def way_out(folder: Path) -> str:
    """Returns what to do about a prepared folder that is not whole."""
    return f"delete {folder} to have it prepared again, or copy it again"


def reason(error: Exception) -> str:
    """Returns the kind and the text of an error, in one line of bearable length."""
    text = _TENSORFLOW_NOISE.sub("", str(error)).rstrip(". ")
    return f"{type(error).__name__}: {textwrap.shorten(text, 400, placeholder=' …')}"


def require_sound_copies(name: str, data_dir: str | None) -> None:
    """Refuses a set of which any prepared folder has unsound metadata; meant for when no builder could be made.

    Args:
        name: as `tfds.builder` takes it.
        data_dir: where prepared sets are, or TensorFlow Datasets' own default.

    Raises:
        DataError: naming the folder, or that there is no way into it.
    """
    place = place_of(name, data_dir)
    try:
        folders = {path.parent for wanted in METADATA for path in place.rglob(wanted)}
    except OSError as error:
        raise DataError(f"dataset.data_dir={data_dir}: cannot be read: {reason(error)}.") from error
    # What an interrupted preparation leaves has another name than a version's, and is never read.
    for folder in sorted(folder for folder in folders if tfds.core.Version.is_valid(folder.name)):
        sound_metadata(folder)


def place_of(name: str, data_dir: str | None) -> Path:
    """Returns the folder of all versions of a set."""
    return Path(data_dir or constants.DATA_DIR).expanduser() / re.split("[/:]", name)[0]


def sound_metadata(folder: Path) -> tfds.core.DatasetBuilder:
    """Returns a builder made of a prepared folder's metadata alone.

    Args:
        folder: `<data_dir>/<name>/[<config>/]<version>`.

    Raises:
        DataError: a file is missing or cannot be read, or describes another set or version than the folder's name.
    """
    try:
        missing = [name for name in METADATA if not (folder / name).is_file()]
        found = None if missing else tfds.builder_from_directory(folder)
    except UNREADABLE as error:
        raise unusable(folder, reason(error), folder) from error
    if found is None:
        raise unusable(folder, f"it has no {missing[0]} (a copy cut short?)", folder)
    if found.name not in folder.parts[-3:-1] or str(found.version) != folder.name:
        raise unusable(folder / METADATA[0], f"it describes {found.name} {found.version}", folder)
    if not found.info.splits:
        raise unusable(folder / METADATA[0], "it lists no splits", folder)
    return found


def require_sound_metadata(builder: tfds.core.DatasetBuilder) -> None:
    """Refuses a prepared folder whose metadata are damaged, or say other than the set's code.

    Args:
        builder: of a prepared image classification set.

    Raises:
        DataError: naming the folder and the file.
    """
    folder = Path(builder.data_dir)
    found = sound_metadata(folder)
    for key in builder.info.supervised_keys:
        stored, known = _feature(found, key), _feature(builder, key)
        if stored != known:
            raise unusable(folder / METADATA[1], f"the feature {key} is {stored}, where {known} belongs", folder)


def _feature(builder: tfds.core.DatasetBuilder, key: str) -> str:
    features = builder.info.features
    return str(features[key]) if isinstance(features, tfds.features.FeaturesDict) and key in features else "missing"


def require_whole_slices(builder: tfds.core.DatasetBuilder, split: str) -> None:
    """Refuses files that a split takes a slice of and that are not as long as the metadata say.

    Of a file of another length the same slice holds other images, and nothing else would notice; a file that is read
    whole is counted while it is.

    Raises:
        DataError: naming the file.
    """
    shards = builder.info.splits[split].file_instructions
    _require_whole(builder, [shard for shard in shards if shard.skip or not shard.takes_all])


def unreadable_split(builder: tfds.core.DatasetBuilder, split: str, problem: str) -> DataError:
    """Returns the error for a split that could not be read, naming the first file that is at fault by itself."""
    try:
        _require_whole(builder, builder.info.splits[split].file_instructions)
    except DataError as found:
        return found
    return unusable(Path(builder.data_dir), f"its split {split} {problem}", Path(builder.data_dir))


def _require_whole(builder: tfds.core.DatasetBuilder, shards: list[FileInstruction]) -> None:
    for shard in shards:
        try:
            records = file_adapters.ADAPTER_FOR_FORMAT[builder.info.file_format].make_tf_data(shard.filename)
            count = int(records.reduce(np.int64(0), lambda number, _: number + 1))
        except (tf.errors.OpError, OSError, ImportError) as error:
            raise unusable(Path(shard.filename), reason(error), Path(builder.data_dir)) from error
        if count != shard.examples_in_shard:
            problem = f"it holds {count} images, not the {shard.examples_in_shard} of {METADATA[0]}"
            raise unusable(Path(shard.filename), problem, Path(builder.data_dir))
