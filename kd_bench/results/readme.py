"""Writes results into the blocks of a Markdown file. Each block is between two markers.

`<!-- results:start digits -->` begins the block `digits`, `<!-- results:end digits -->` ends it. A block may have no
name.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from kd_bench.errors import BenchError
from kd_bench.runs.files import write_atomically

_MARKER = re.compile(r"<!-- results:(start|end)(?: ([\w.-]+))? -->")


class MarkerError(BenchError):
    """A block is missing, or its markers are not there exactly once."""


def block_names(path: Path) -> list[str]:
    """Returns the names of the file's blocks, in order; "" for a block without a name.

    Raises:
        MarkerError: There is no block, or its markers are not there once each and in order.
    """
    return _names(_read(path), path)


def update_blocks(path: Path, contents: Mapping[str, str]) -> None:
    """Writes the contents of blocks, given by name, atomically. All other bytes of the file stay the same.

    Raises:
        MarkerError: A block or a marker is missing, or markers are repeated or out of order. The file is not changed.
        StorageError: The file cannot be written.
    """
    text = _read(path)
    missing = set(contents) - set(_names(text, path))
    if missing:
        raise MarkerError(f"{path}: has no block {', '.join(sorted(missing))}")
    for name, content in contents.items():
        text = _replace(text, name, content)
    write_atomically(path, text)


def marker(kind: str, name: str) -> str:
    """Returns the line that starts (kind "start") or ends (kind "end") a block."""
    return f"<!-- results:{kind}{f' {name}' if name else ''} -->"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MarkerError(f"{path}: cannot be read ({error})") from error


def _names(text: str, path: Path) -> list[str]:
    found = _MARKER.findall(text)
    names = [name for kind, name in found if kind == "start"]
    expected = [(kind, name) for name in names for kind in ("start", "end")]
    if not names or found != expected or len(set(names)) != len(names):
        name = names[0] if names else ""
        raise MarkerError(
            f"{path}: needs the line {marker('start', name)} and, below it, the line {marker('end', name)}, once each"
        )
    return names


def _replace(text: str, name: str, content: str) -> str:
    """Returns the text with the content in one of its blocks. The text's kind of newlines is kept."""
    start, end = marker("start", name), marker("end", name)
    before, _, rest = text.partition(start)
    newline = "\r\n" if "\r\n" in text else "\n"
    block = f"{start}\n{content.strip()}\n{end}".replace("\n", newline)
    return before + block + rest.partition(end)[2]
