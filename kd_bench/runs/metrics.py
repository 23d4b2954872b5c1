"""A run's metrics: `metrics.jsonl`, one line per epoch.

Lines are only appended. When a run resumes from a checkpoint, the lines written after that checkpoint are removed.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kd_bench.checks import NonNegative, NonNegativeInt, Probability
from kd_bench.documents import read_json
from kd_bench.runs.files import read_file, storing
from kd_bench.runs.record import RecordError
from kd_bench.typed import to_dataclass


@dataclass(frozen=True, kw_only=True)
class _Line:
    """The entries of a line that are read again; a loss may have any name. Earlier versions wrote fewer."""

    stage: str
    epoch: NonNegativeInt
    epochs: NonNegativeInt = 0
    seconds: NonNegative = 0.0
    elapsed_seconds: NonNegative = 0.0
    multiply_adds: NonNegativeInt | None = None
    test_accuracy: Probability = 0.0


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
        RecordError: The file cannot be read, or a line before the last is damaged.
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    lines = content[: _whole_lines(content)].splitlines()
    return [_parse(line, path, number) for number, line in enumerate(lines, start=1)]


def _whole_lines(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        read: dict[str, Any] = read_json(line)
        to_dataclass(_Line, read, ignore_unknown=True)
        return read
    except ValueError as error:
        raise RecordError(f"{path}: line {number} is damaged ({error}); delete the line") from error
