"""From the name of a set to a prepared TensorFlow Datasets builder, or to an error that says what to put where."""

import contextlib
import difflib
import functools
import io
import logging
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from filelock import FileLock
from tensorflow_datasets.core.download import downloader, extractor

from kd_bench.data import digits  # noqa: F401 - importing it registers `digits` with TensorFlow Datasets
from kd_bench.data.damage import (
    UNREADABLE,
    place_of,
    reason,
    require_sound_copies,
    require_sound_metadata,
)
from kd_bench.data.fashion_mnist import ManualFashionMNIST
from kd_bench.errors import DataError

_LISTED = 6
_FAILURES = (
    OSError,  # requests' errors are OSErrors
    AssertionError,  # what TensorFlow Datasets raises for files that a user must fetch by hand
    ImportError,  # of a package that this set alone needs
    tfds.download.DownloadError,
    tfds.core.download.download_manager.NonMatchingChecksumError,
    extractor.ExtractError,
    tf.errors.OpError,
)
"""What goes wrong outside the code while a set is downloaded, unpacked and written."""


def find_builder(name: str, data_dir: str | None, manual_dir: str | None) -> tfds.core.DatasetBuilder:
    """Returns the builder of a set, prepared or not.

    Args:
        name: of the set, `name`, `name/config` or `name:version`.
        data_dir: where prepared sets are, or TensorFlow Datasets' own default.
        manual_dir: where files fetched by hand are.

    Raises:
        DataError: no such set, configuration or version; no such `manual_dir`; `data_dir` cannot be read, or holds the
            set with damaged metadata.
    """
    if manual_dir is not None and not Path(manual_dir).expanduser().is_dir():
        raise DataError(f"dataset.manual_dir={manual_dir}: there is no such folder.")
    try:
        with quietly():
            if manual_dir is not None and name.partition(":")[0] == ManualFashionMNIST.name:
                return ManualFashionMNIST(data_dir=data_dir)
            return tfds.builder(name, data_dir=data_dir)
    except UNREADABLE as error:
        with quietly():
            require_sound_copies(name, data_dir)
        raise _no_builder(name, data_dir, error) from error


def _no_builder(name: str, data_dir: str | None, error: Exception) -> DataError:
    if isinstance(error, tfds.core.DatasetNotFoundError):
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name.partition("/")[0], known)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        if (place := place_of(name, data_dir)).exists():
            hint = f" What is in {place} is no prepared set (a copy cut short?); copy it again."
        return DataError(f"dataset.name={name}: TensorFlow Datasets has no such set.{hint}")
    if isinstance(error, OSError | tf.errors.OpError):
        return DataError(f"dataset.data_dir={data_dir}: cannot be read: {reason(error)}.")
    # A configuration, a version or an argument that the set doesn't have.
    return DataError(f"dataset.name={name}: {reason(error)}.")


def prepare(builder: tfds.core.DatasetBuilder, manual_dir: str | None) -> None:
    """Downloads and writes a set unless it is there; processes that want the same set wait for the first.

    TensorFlow Datasets writes to a folder of another name and renames it last: what was interrupted counts as absent,
    and a folder that is there but not whole was damaged since.

    Args:
        builder: from `find_builder`.
        manual_dir: where files fetched by hand are; they are used in place of a download.

    Raises:
        DataError: naming the set, the files it needs, and the keys that say where they are; or the prepared folder, if
            its metadata are damaged.
    """
    folder = Path(builder.data_dir)
    with quietly():
        try:
            if not folder.exists():
                folder.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(folder.parent / f"{folder.name}.lock"):
                    _prepare_alone(builder, manual_dir)
        except _FAILURES as error:
            raise DataError(_advice(builder, error)) from error
        require_sound_metadata(builder)
        if not builder.info.splits:  # another process has prepared it since the builder was made
            builder.info.read_from_directory(folder)


def _prepare_alone(builder: tfds.core.DatasetBuilder, manual_dir: str | None) -> None:
    if Path(builder.data_dir).exists():  # by the process that we waited for
        return
    logging.getLogger(__name__).info("Preparing %s in %s, once.", builder.name, builder.data_dir)
    with _impatiently():
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
        )


def _advice(builder: tfds.core.DatasetBuilder, error: Exception) -> str:
    place = Path(builder.data_dir).relative_to(builder.data_dir_root)
    return (
        f"dataset.name={builder.name}: could not be prepared in {builder.data_dir}: {reason(error)}\n"
        f"{_wanted_files(builder)}"
        f"- Or prepare it on a machine with network, copy its folder {place} and say where it is: "
        f"dataset.data_dir=<the folder that holds {place}>."
    )


def _wanted_files(builder: tfds.core.DatasetBuilder) -> str:
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        lines = [textwrap.dedent(builder.MANUAL_DOWNLOAD_INSTRUCTIONS).strip()]
    else:
        infos = list((builder.url_infos or {}).items())
        lines = [f"{info.filename} ({info.size}, SHA-256 {info.checksum}) from {url}" for url, info in infos[:_LISTED]]
        if len(infos) > _LISTED:
            lines.append(f"and {len(infos) - _LISTED} more")
    if not lines:
        return ""
    listed = textwrap.indent("\n".join(lines), "    ")
    return f"- Put the files it needs into one folder and set dataset.manual_dir=<that folder>:\n{listed}\n"


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Holds back what TensorFlow Datasets logs and prints, and its progress bars where nobody watches."""
    verbosity, connections = absl_logging.get_verbosity(), logging.getLogger("urllib3")
    level = connections.level
    absl_logging.set_verbosity(absl_logging.FATAL)
    connections.setLevel(logging.ERROR)
    tfds.display_progress_bar(sys.stderr.isatty())
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        absl_logging.set_verbosity(verbosity)
        connections.setLevel(level)


def _impatiently() -> contextlib.AbstractContextManager[object]:
    """Makes a missing network a matter of seconds: TensorFlow Datasets has no timeout, and retries for minutes."""
    open_url = functools.partial(downloader._open_url, timeout=(5, 60))
    return mock.patch.multiple(downloader, MAX_RETRIES=2, _open_url=open_url)
