"""The checksum of a file."""

import hashlib
from functools import cache
from pathlib import Path


def file_checksum(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cached_checksum(path: Path) -> str:
    """Returns the SHA-256 of a file; in one process, a file that has not changed is not read again."""
    status = path.stat()
    return _cached_checksum(path, status.st_ino, status.st_size, status.st_mtime_ns)


@cache
def _cached_checksum(path: Path, *_: int) -> str:
    return file_checksum(path)
