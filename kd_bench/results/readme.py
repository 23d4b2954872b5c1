"""The blocks of a Markdown file that results are written into, each between two markers.

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
    """The file has no single place for the results."""


def block_names(path: Path) -> list[str]:
    """Returns the names of the file's blocks, in order; that of a block without a name is "".

    Raises:
        MarkerError: There is no block, or its markers are not there once each, in order.
    """
    return _names(_read(path), path)


def update_blocks(path: Path, contents: Mapping[str, str]) -> None:
    """Writes the contents of blocks by their names, atomically, and leaves the rest as it is, byte for byte.

    Raises:
        MarkerError: A block is not there, or its markers are not there once each, in order. The file is untouched.
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
    found = [(kind, name) for kind, name in _MARKER.findall(text)]
    names = [name for kind, name in found if kind == "start"]
    expected = [(kind, name) for name in names for kind in ("start", "end")]
    if not names or found != expected or len(set(names)) != len(names):
        name = names[0] if names else ""
        raise MarkerError(
            f"{path}: needs the line {marker('start', name)} and, below it, the line {marker('end', name)}, once each"
        )
    return names


def _replace(text: str, name: str, content: str) -> str:
    """Returns the text with the content, in the text's own kind of newlines, in one of its blocks."""
    start, end = marker("start", name), marker("end", name)
    before, _, rest = text.partition(start)
    newline = "\r\n" if "\r\n" in text else "\n"
    block = f"{start}\n{content.strip()}\n{end}".replace("\n", newline)
    return before + block + rest.partition(end)[2]
