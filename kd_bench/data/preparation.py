"""Prepares a TensorFlow Datasets set by its name, or raises an error that says which files to put where."""

import contextlib
import difflib
import errno
import functools
import io
import logging
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from filelock import FileLock
from tensorflow_datasets.core.download import download_manager, downloader, extractor

from kd_bench.config.paths import expanded, prepared_folder
from kd_bench.data import digits  # noqa: F401 - importing it registers `digits` with TensorFlow Datasets
from kd_bench.data.damage import UNREADABLE, error_reason, error_text, usable
from kd_bench.data.fashion_mnist import ManualFashionMNIST
from kd_bench.errors import DataError

_NAME = re.compile(r"(\w+:)?[a-zA-Z_]\w*(/[^/:]+)*(:[\d*]+\.[\d*]+\.[\d*]+)?")
_LISTED = 6
_FAILURES = (
    OSError,  # requests' errors are OSErrors
    AssertionError,  # TensorFlow Datasets raises it for files that a user must download by hand
    ImportError,  # a package that only this set needs is missing
    tfds.download.DownloadError,
    download_manager.NonMatchingChecksumError,
    extractor.ExtractError,
    tf.errors.OpError,
)
"""Errors outside the code while a set is downloaded, unpacked and written."""


def find_builder(name: str, data_dir: str | None, manual_dir: str | None) -> tfds.core.DatasetBuilder:
    """Returns the builder of a set, prepared or not.

    Args:
        name: name of the set: `name`, `name/config` or `name:version`.
        data_dir: the folder of prepared sets; None for the default of TensorFlow Datasets.
        manual_dir: the folder of files that were downloaded by hand.

    Raises:
        DataError: the set, its configuration or version, or `manual_dir` does not exist; `data_dir` cannot be read, or
            has the set with damaged metadata.
    """
    if not _NAME.fullmatch(name):
        raise DataError(
            f"dataset.name={name}: is not a valid name; write for example cifar10, name/config or name:1.0.0."
        )
    if manual_dir is not None and not expanded("dataset.manual_dir", manual_dir).is_dir():
        raise DataError(f"dataset.manual_dir={manual_dir}: there is no such folder.")
    if data_dir is not None:
        _require_outside(name, expanded("dataset.data_dir", data_dir).absolute())
    try:
        with quiet_tfds():
            if manual_dir is not None and name.partition(":")[0] == ManualFashionMNIST.name:
                return ManualFashionMNIST(data_dir=data_dir)
            return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise DataError(f"dataset.name={name}: TensorFlow Datasets has no such set.{_hint(name, data_dir)}") from error
    except UNREADABLE as error:
        _require_sound_copies(prepared_folder(name, data_dir))
        if isinstance(error, OSError | tf.errors.OpError):
            raise DataError(f"dataset.data_dir={data_dir}: cannot be read: {error_reason(error)}.") from error
        raise DataError(f"dataset.name={name}: {error_text(error)}.") from error


def _require_outside(name: str, data_dir: Path) -> None:
    """Checks that a folder of prepared sets, which holds set/version, is not a set or a version: one level too deep."""
    set_name = re.split("[/:]", name)[0]
    has_configurations = data_dir.name == set_name and not (data_dir / set_name).exists()
    depths = ("", "*/", "*/*/") if has_configurations else ("", "*/")
    if not any(path for depth in depths for path in data_dir.glob(f"{depth}dataset_info.json")):
        return
    set_folders = [folder for folder in (data_dir, *data_dir.parents) if folder.name == set_name]
    advice = (
        f"set dataset.data_dir={set_folders[0].parent}"
        if set_folders
        else f"set it to a folder that holds {set_name}/1.0.0"
    )
    raise DataError(f"dataset.data_dir={data_dir}: is inside a prepared set; {advice}.")


def _hint(name: str, data_dir: str | None) -> str:
    if (folder := prepared_folder(name, data_dir)).exists():
        return (
            f" {folder} has no set of this name and version: a prepared set is a folder such as 1.0.0 with "
            "dataset_info.json and features.json. Copy it again; if it has a folder of images per class, write "
            f"dataset=folder dataset.root={folder}."
        )
    known = tfds.list_builders(with_community_datasets=False)
    near = difflib.get_close_matches(name.partition("/")[0].lower(), known)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _require_sound_copies(set_folder: Path) -> None:
    """Checks that the metadata of all prepared folders of a set can be read."""
    with usable(set_folder):
        folders = {path.parent for path in set_folder.rglob("*.json")}
    # An interrupted preparation leaves a folder whose name is not a version; nothing reads it.
    for folder in sorted(folder for folder in folders if tfds.core.Version.is_valid(folder.name)):
        with usable(folder), quiet_tfds():
            described = tfds.builder_from_directory(folder).version
            if described != folder.name:
                raise ValueError(f"dataset_info.json describes version {described}")


def require_preparable(name: str, data_dir: str | None, manual_dir: str | None) -> None:
    """Checks what is certain before a set is prepared, and writes nothing; the arguments are those of `find_builder`.

    Raises:
        DataError: there is no such set or `manual_dir`, or the folder of prepared sets cannot be written to.
    """
    builder = find_builder(name, data_dir, manual_dir)
    root = Path(builder.data_dir_root)
    folder = next(folder for folder in (root, *root.parents) if folder.exists())
    if not os.access(folder, os.W_OK) or not folder.is_dir():
        number = errno.EACCES if folder.is_dir() else errno.ENOTDIR
        raise DataError(_advice(builder, OSError(number, os.strerror(number), str(folder))))


def prepare(builder: tfds.core.DatasetBuilder, manual_dir: str | None) -> None:
    """Downloads and writes a set if it is missing. Processes that need the same set wait for the first one.

    TensorFlow Datasets writes to a folder with another name and renames it at the end. So an interrupted preparation
    counts as missing, and an incomplete folder was damaged later.

    Args:
        builder: from `find_builder`.
        manual_dir: the folder of files that were downloaded by hand; they replace a download.

    Raises:
        DataError: the set cannot be prepared (the message has the files it needs and the keys to set), or the metadata
            of the prepared folder cannot be read.
    """
    folder = Path(builder.data_dir)
    with quiet_tfds():
        try:
            if not folder.exists():
                _prepare_alone(builder, manual_dir)
        except _FAILURES as error:
            raise DataError(_advice(builder, error)) from error
        if not builder.info.splits:  # another process prepared it after the builder was made
            with usable(folder):
                builder.info.read_from_directory(folder)


def _prepare_alone(builder: tfds.core.DatasetBuilder, manual_dir: str | None) -> None:
    root = Path(builder.data_dir_root)
    root.mkdir(parents=True, exist_ok=True)
    # One lock for all versions of a set, because they share a folder of downloads.
    with FileLock(root / f"{builder.name}.lock") as lock:
        if Path(builder.data_dir).exists():  # the process that we waited for has made it
            return
        logging.getLogger(__name__).info("Preparing %s in %s, once.", builder.name, builder.data_dir)
        config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
        try:
            with _short_timeouts():
                builder.download_and_prepare(download_dir=root / "downloads", download_config=config)
        except BaseException:
            _tidy(builder)
            # A process that waits for this file notices that it is deleted, and makes a new one.
            Path(lock.lock_file).unlink(missing_ok=True)
            raise


def _tidy(builder: tfds.core.DatasetBuilder) -> None:
    """Removes what a failed preparation leaves. Complete downloads stay: the next attempt uses them."""
    root = Path(builder.data_dir_root)
    downloads = root / "downloads" / builder.name
    for unfinished in downloads.glob("*.tmp.*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    for folder in (downloads, Path(builder.data_dir).parent, root / builder.name):
        with contextlib.suppress(OSError):  # it is not empty, or does not exist
            folder.rmdir()


def _advice(builder: tfds.core.DatasetBuilder, error: Exception) -> str:
    folder = Path(builder.data_dir).relative_to(builder.data_dir_root)
    return (
        f"dataset.name={builder.name}: could not be prepared in {builder.data_dir}: {error_reason(error)}\n"
        f"{_wanted_files(builder)}"
        f"- Or prepare it on a machine with network, copy its folder {folder} and set "
        f"dataset.data_dir=<the folder that holds {folder}>."
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
def quiet_tfds() -> Iterator[None]:
    """Hides what TensorFlow Datasets logs and prints, and its progress bars if there is no terminal."""
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


@contextlib.contextmanager
def _short_timeouts() -> Iterator[None]:
    """Ends a download soon if there is no network.

    TensorFlow Datasets has no timeout and retries for minutes; neither can be set.
    """
    retries, open_url = downloader.MAX_RETRIES, downloader._open_url
    downloader.MAX_RETRIES = 2
    downloader._open_url = functools.partial(open_url, timeout=(5, 60))
    try:
        yield
    finally:
        downloader.MAX_RETRIES, downloader._open_url = retries, open_url
