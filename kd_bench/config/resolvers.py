"""What configs can write as `${name:path}`. A user's own data are identified by their content, wherever they are."""

import hashlib
from functools import cache
from pathlib import Path

from omegaconf import OmegaConf


@cache
def content(place: str) -> str:
    """Returns 16 hexadecimal digits from the content of a file, or of all files in a folder; nothing for no path.

    In a folder the names of its subfolders count, because they are names of classes, but the names of files do not.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    root = Path(place).expanduser()
    if not place or root.is_file():
        return file_checksum(root)[:16] if place else ""
    if not root.is_dir():
        raise FileNotFoundError(f"{place}: there is no such file or folder")
    files = (path for path in root.rglob("*") if path.is_file())
    entries = sorted(f"{path.parent.relative_to(root).as_posix()} {file_checksum(path)}" for path in files)
    return hashlib.sha256("\n".join(entries).encode()).hexdigest()[:16]


def file_checksum(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def register() -> None:
    """Tells OmegaConf about `home`, a path with the home folder for `~`, `stem`, its last name, and `content`."""
    OmegaConf.register_new_resolver("home", lambda path: str(Path(path).expanduser()), replace=True)
    OmegaConf.register_new_resolver("stem", lambda path: Path(path).stem, replace=True)
    OmegaConf.register_new_resolver("content", content, replace=True)
