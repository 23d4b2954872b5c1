"""One process per run: who comes second waits, and says for whom."""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from kd_bench.errors import StorageError
from kd_bench.runs.files import storing
from kd_bench.runs.folder import RunFolder

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What `flock` answers where a network file system is mounted without locks."""


@contextlib.contextmanager
def locked(folder: RunFolder, wait: bool = True) -> Iterator[bool]:
    """Holds the lock of a run's folder, after waiting for whoever holds it; gives whether it had to wait.

    The operating system takes the lock from a process that dies, whatever files it leaves.

    Raises:
        StorageError: the lock cannot be made.
        filelock.Timeout: another process holds it, and `wait` is false.
    """
    lock, waited = file_lock(folder.lock), False
    with storing(folder.path), _require_locks(folder.path):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise
            print(f"{folder}: {_holder(folder)} runs it; waiting.", flush=True)
            lock.acquire()
            waited = True
    try:
        with storing(folder.path):
            folder.make()  # its last holder may have left nothing
            folder.holder.write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid()}))
        yield waited
    finally:
        lock.release()


def is_held(folder: RunFolder) -> bool:
    """Returns whether a process holds the lock of a run's folder at this moment."""
    if not folder.lock.exists():
        return False
    try:
        with file_lock(folder.lock).acquire(timeout=0):
            return False
    except Timeout:
        return True


def file_lock(path: Path) -> FileLock:
    """Returns a lock that dies with its holder; a file that stands for a lock would outlive a killed process."""
    return FileLock(path, fallback_to_soft=False)


@contextlib.contextmanager
def _require_locks(place: Path) -> Iterator[None]:
    """Raises `StorageError` if the file system refuses the locks that the body takes."""
    try:
        yield
    except OSError as problem:
        if problem.errno not in _NO_LOCKS:
            raise
        raise StorageError(
            f"{place}: this file system has no locks (flock), without which two processes could do one run at the same "
            "time. Set outputs= to a folder on another file system, or mount this one with locks (Lustre: -o flock)."
        ) from problem


def _holder(folder: RunFolder) -> str:
    try:
        holder = json.loads(folder.holder.read_text())
        return f"process {holder['process']} on {holder['host']}"
    except (OSError, ValueError, KeyError):  # it has not come to write it yet
        return "another process"
