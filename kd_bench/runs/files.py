"""Writes each file completely or not at all."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from kd_bench.errors import StorageError
from kd_bench.system_errors import cannot_be_written


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replaces the file's content in one step; after a crash it is the old or the new content.

    Args:
        path: The file; a symbolic link is followed, an existing file's permissions are kept.
        content: The whole new content, written as it is (no newline translation).

    Raises:
        StorageError: It cannot be written; the old content is still there.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with storing(path):
        try:
            _write_synced(temporary, content.encode() if isinstance(content, str) else content)
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
            _sync_folder(target.parent)
        finally:
            with contextlib.suppress(OSError):  # a second error would hide the first
                temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Makes a folder and its parents if they are not there.

    Raises:
        StorageError: It cannot be made.
    """
    with storing(path):
        path.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def storing(path: Path, remedy: str = "") -> Iterator[None]:
    """Replaces an `OSError` of the body by a readable error.

    Args:
        path: what the body writes.
        remedy: a sentence that says what to do; empty for the usual ones.

    Raises:
        StorageError: The body cannot write; the message names the path and says what to do.
    """
    try:
        yield
    except TimeoutError:  # from a lock: nothing was written
        raise
    except OSError as problem:
        raise StorageError(cannot_be_written(path, problem, remedy)) from problem


def read_file(path: Path) -> bytes:
    """Returns the content of a file.

    Raises:
        OSError: it cannot be read; see also `require_file`.
    """
    require_file(path)
    return path.read_bytes()


def require_file(path: Path) -> None:
    """Checks that a path is no pipe and no device: to open one can wait for ever, to read one may have no end.

    Raises:
        OSError: it is one, or there is nothing.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a folder has its own error
        raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", str(path))


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    # Without this, a power cut may undo the renaming.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
