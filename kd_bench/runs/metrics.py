"""A run's metrics: `metrics.jsonl`, one line per epoch.

Lines are only appended. When a run resumes from a checkpoint, the lines written after that checkpoint are removed.
"""

import json
from pathlib import Path
from typing import Any

from kd_bench.runs.files import storing
from kd_bench.runs.record import RecordError


def append_metrics(path: Path, line: dict[str, Any]) -> None:
    """Appends one line. First removes an incomplete last line, which a killed run may leave.

    Raises:
        StorageError: It cannot be written.
    """
    with storing(path), path.open("a+b") as stream:
        stream.seek(0)
        stream.truncate(_whole_lines(stream.read()))
        stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the complete lines, oldest first, without an incomplete last line; an empty list if there is no file.

    Raises:
        RecordError: A line before the last is damaged.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    lines = content[: _whole_lines(content)].splitlines()
    return [_parse(line, path, number) for number, line in enumerate(lines, start=1)]


def _whole_lines(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError as error:
        raise RecordError(f"{path}: line {number} is damaged ({error}); delete the line") from error
