"""Files that are either the old one or the new one, never half of each."""

import os
import shutil
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Replaces the file's content in one step; a crash at any moment leaves the old content or the new.

    Args:
        path: The file; a symbolic link is followed, an existing file's permissions are kept.
        text: The whole new content, written as it is (no newline translation).
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
