"""Locks: one process per run. A second process waits and prints which process holds the lock."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from kd_bench.checks import Label, NonNegativeInt
from kd_bench.documents import read_json
from kd_bench.errors import StorageError
from kd_bench.messages import say
from kd_bench.runs.files import read_file, require_file, storing
from kd_bench.runs.folder import RunFolder
from kd_bench.typed import to_dataclass

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""The errors of `flock` on a network file system that is mounted without locks."""
_OWNER_ONLY, _WRITABLE_BY_OTHERS = stat.S_IRWXU, stat.S_IWGRP | stat.S_IWOTH
"""The mode of a folder that is only its owner's, and the bits by which others can write to it."""
_TRY_SECONDS = 0.1
"""Seconds to try before a lock counts as taken. A process that calls `is_held` holds the lock for a moment."""


def machine_locks() -> Path:
    """Returns the folder for locks that all commands of this user on this machine share; makes it if needed.

    Raises:
        StorageError: it cannot be made, or it is not this user's own: anybody can make a folder in /tmp, and then hold
            all locks.
    """
    folder = Path(tempfile.gettempdir(), f"kd_bench-{os.getuid()}")
    with storing(folder):
        folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
        status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & _WRITABLE_BY_OTHERS:
        raise StorageError(
            f"{folder}: is not a folder that only you can write to, so others could hold the locks of your runs; "
            "delete it, or set the environment variable TMPDIR to another folder."
        )
    return folder


@dataclass(frozen=True)
class Holder:
    """The process that does a run, or the last one that did.

    Attributes:
        title: a short description of the run; empty if an earlier version wrote it.
    """

    host: Label
    process: NonNegativeInt
    title: Label = ""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


@contextlib.contextmanager
def locked(folder: RunFolder, wait: bool = True, title: str = "") -> Iterator[bool]:
    """Holds the lock of a run's folder while the body runs; yields whether it had to wait for another process.

    If a process dies, the operating system releases its lock, even if the lock file remains.

    Args:
        folder: the run's folder.
        wait: whether to wait for another process.
        title: a short description of the run, for those who ask what is being done.

    Raises:
        StorageError: the lock cannot be made.
        filelock.Timeout: another process holds it, and `wait` is false.
    """
    # A soft lock is only a file, which would remain after a kill.
    lock, waited = FileLock(folder.lock, fallback_to_soft=False), False
    with storing(folder.path), _require_locks(folder.path):
        try:
            lock.acquire(timeout=_TRY_SECONDS)
        except Timeout:
            if not wait:
                raise
            say(f"{folder}: {holder(folder) or 'another process'} runs it; waiting.")
            lock.acquire()
            waited = True
    try:
        with storing(folder.path):
            folder.make()  # the last holder may have deleted it
            folder.holder.write_text(json.dumps(asdict(Holder(socket.gethostname(), os.getpid(), title))))
        yield waited
    finally:
        lock.release()


def is_held(folder: RunFolder) -> bool:
    """Returns whether a process holds the lock of a run's folder at this moment; does not write or wait.

    Raises:
        StorageError: the file system has no locks.
    """
    try:
        require_file(folder.lock)
        with folder.lock.open("rb") as stream, _require_locks(folder.path):
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: several processes may check at once
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def holder(folder: RunFolder) -> Holder | None:
    """Returns which process holds the lock, or held it last; None if that is not known."""
    try:
        return to_dataclass(Holder, read_json(read_file(folder.holder)))
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _require_locks(path: Path) -> Iterator[None]:
    """Raises `StorageError` if the file system of the body's locks does not support them."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in _NO_LOCKS:
            raise
        raise StorageError(
            f"{path}: this file system has no locks (flock). Without locks, two processes could do the same run at "
            "once. Set outputs= to a folder on another file system, or mount this one with locks (Lustre: -o flock)."
        ) from problem
