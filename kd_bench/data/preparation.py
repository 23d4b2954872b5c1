"""From the name of a set to a prepared TensorFlow Datasets builder, or to an error that says what to put where."""

import contextlib
import difflib
import functools
import io
import logging
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
from tensorflow_datasets.core import constants
from tensorflow_datasets.core.download import download_manager, downloader, extractor

from kd_bench.data import digits  # noqa: F401 - importing it registers `digits` with TensorFlow Datasets
from kd_bench.data.damage import UNREADABLE, reason, text, usable
from kd_bench.data.fashion_mnist import ManualFashionMNIST
from kd_bench.errors import DataError

_NAME = re.compile(r"(\w+:)?[a-zA-Z_]\w*(/[^/:]+)*(:[\d*]+\.[\d*]+\.[\d*]+)?")
_LISTED = 6
_FAILURES = (
    OSError,  # requests' errors are OSErrors
    AssertionError,  # what TensorFlow Datasets raises for files that a user must fetch by hand
    ImportError,  # of a package that this set alone needs
    tfds.download.DownloadError,
    download_manager.NonMatchingChecksumError,
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
    if not _NAME.fullmatch(name):
        raise DataError(f"dataset.name={name}: is not a name; write one such as cifar10, name/config or name:1.0.0.")
    if manual_dir is not None and not Path(manual_dir).expanduser().is_dir():
        raise DataError(f"dataset.manual_dir={manual_dir}: there is no such folder.")
    try:
        with quietly():
            if manual_dir is not None and name.partition(":")[0] == ManualFashionMNIST.name:
                return ManualFashionMNIST(data_dir=data_dir)
            return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise DataError(f"dataset.name={name}: TensorFlow Datasets has no such set.{_hint(name, data_dir)}") from error
    except UNREADABLE as error:
        _require_sound_copies(_place(name, data_dir))
        if isinstance(error, OSError | tf.errors.OpError):
            raise DataError(f"dataset.data_dir={data_dir}: cannot be read: {reason(error)}.") from error
        raise DataError(f"dataset.name={name}: {text(error)}.") from error


def _place(name: str, data_dir: str | None) -> Path:
    """Returns the folder of all versions of a set."""
    return Path(data_dir or constants.DATA_DIR).expanduser() / re.split("[/:]", name)[0]


def _hint(name: str, data_dir: str | None) -> str:
    if (place := _place(name, data_dir)).exists():
        return (
            f" {place} holds none of this name and version: a prepared set is a folder such as 1.0.0 with "
            "dataset_info.json and features.json. Copy it again; for images of your own, make one with "
            "tfds.dataset_builders.store_as_tfds_dataset."
        )
    known = tfds.list_builders(with_community_datasets=False)
    near = difflib.get_close_matches(name.partition("/")[0], known)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _require_sound_copies(place: Path) -> None:
    """Refuses the prepared folders of a set if metadata cannot be read."""
    with usable(place):
        folders = {path.parent for path in place.rglob("*.json")}
    # An interrupted preparation leaves a folder that is not named as a version; nothing reads it.
    for folder in sorted(folder for folder in folders if tfds.core.Version.is_valid(folder.name)):
        with usable(folder), quietly():
            described = tfds.builder_from_directory(folder).version
            if described != folder.name:
                raise ValueError(f"dataset_info.json describes version {described}")


def prepare(builder: tfds.core.DatasetBuilder, manual_dir: str | None) -> None:
    """Downloads and writes a set unless it is there; processes that want the same set wait for the first.

    TensorFlow Datasets writes to a folder of another name and renames it last: what was interrupted counts as absent,
    and a folder that is there but not whole was damaged since.

    Args:
        builder: from `find_builder`.
        manual_dir: where files fetched by hand are; they are used in place of a download.

    Raises:
        DataError: naming the set, the files it needs, and the keys that say where they are; or the prepared folder, if
            its metadata cannot be read.
    """
    folder = Path(builder.data_dir)
    with quietly():
        try:
            if not folder.exists():
                _prepare_alone(builder, manual_dir)
        except _FAILURES as error:
            raise DataError(_advice(builder, error)) from error
        if not builder.info.splits:  # another process has prepared it since the builder was made
            with usable(folder):
                builder.info.read_from_directory(folder)


def _prepare_alone(builder: tfds.core.DatasetBuilder, manual_dir: str | None) -> None:
    root = Path(builder.data_dir_root)
    root.mkdir(parents=True, exist_ok=True)
    # One lock for all versions of a set, since they share a folder of downloads.
    with FileLock(root / f"{builder.name}.lock") as lock:
        if Path(builder.data_dir).exists():  # by the process that we waited for
            return
        logging.getLogger(__name__).info("Preparing %s in %s, once.", builder.name, builder.data_dir)
        config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
        try:
            with _impatiently():
                builder.download_and_prepare(download_dir=root / "downloads", download_config=config)
        except BaseException:
            _tidy(builder)
            # Who waits for this file sees that it is gone and makes another one.
            Path(lock.lock_file).unlink(missing_ok=True)
            raise


def _tidy(builder: tfds.core.DatasetBuilder) -> None:
    """Removes what a failed preparation leaves. Whole downloads stay: the next attempt uses them."""
    root = Path(builder.data_dir_root)
    downloads = root / "downloads" / builder.name
    for unfinished in downloads.glob("*.tmp.*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    for folder in (downloads, Path(builder.data_dir).parent, root / builder.name):
        with contextlib.suppress(OSError):  # it holds something, or is not there
            folder.rmdir()


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


@contextlib.contextmanager
def _impatiently() -> Iterator[None]:
    """Ends a download soon if there is no network.

    TensorFlow Datasets has no timeout, retries for minutes, and has no setting for either.
    """
    retries, open_url = downloader.MAX_RETRIES, downloader._open_url
    downloader.MAX_RETRIES = 2
    downloader._open_url = functools.partial(open_url, timeout=(5, 60))
    try:
        yield
    finally:
        downloader.MAX_RETRIES, downloader._open_url = retries, open_url
