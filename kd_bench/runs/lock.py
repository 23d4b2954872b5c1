"""One process per run: who comes second waits, and says for whom."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator

from filelock import FileLock, Timeout

from kd_bench.runs.files import storing
from kd_bench.runs.folder import RunFolder


@contextlib.contextmanager
def locked(folder: RunFolder, wait: bool = True) -> Iterator[bool]:
    """Holds the lock of a run's folder, after waiting for whoever holds it; gives whether it had to wait.

    The operating system takes the lock from a process that dies, whatever files it leaves.

    Raises:
        StorageError: the lock cannot be made.
        filelock.Timeout: another process holds it, and `wait` is false.
    """
    lock, waited = FileLock(folder.lock), False
    with storing(folder.path):
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


def _holder(folder: RunFolder) -> str:
    try:
        holder = json.loads(folder.holder.read_text())
        return f"process {holder['process']} on {holder['host']}"
    except (OSError, ValueError, KeyError):  # it has not come to write it yet
        return "another process"
