"""One process a run: who comes second waits, and says for whom."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from kd_bench.runs.files import storing

_LOCK_NAME, _HOLDER_NAME = ".lock", ".holder"


@contextlib.contextmanager
def locked(directory: Path, wait: bool = True) -> Iterator[bool]:
    """Holds the lock of a run's folder, after waiting for whoever holds it; gives whether it had to wait.

    The system takes the lock from a process that dies, whatever files it leaves.

    Raises:
        StorageError: the lock cannot be made.
        filelock.Timeout: another process holds it, and `wait` is false.
    """
    lock, waited = FileLock(directory / _LOCK_NAME), False
    with storing(directory):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise
            print(f"{directory}: {_holder(directory)} runs it; waiting.", flush=True)
            lock.acquire()
            waited = True
    try:
        with storing(directory):
            (directory / _HOLDER_NAME).write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid()}))
        yield waited
    finally:
        lock.release()


def _holder(directory: Path) -> str:
    try:
        holder = json.loads((directory / _HOLDER_NAME).read_text())
        return f"process {holder['process']} on {holder['host']}"
    except (OSError, ValueError, KeyError):  # it has not come to write it yet
        return "another process"
