"""A run's record: `result.json`, written once and last. Its presence says that the run is over."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from kd_bench.results.files import write_atomically

SCHEMA_VERSION = 1
DONE, FAILED = "done", "failed"
RECORD_NAME, CONFIG_NAME = "result.json", "config.yaml"

Part = TypeVar("Part")


class RecordError(ValueError):
    """A file of a run that cannot be used; the message names the file, what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was asked for.

    Attributes:
        label: The method's name in the table, e.g. "FitNet".
        subset_seed: Chooses the training images of a fraction below 1.
        budget: "steps" or "epochs": what is held equal over the fractions.
        digest: 8 hex digits, over everything that can change the result.
        protocol: 8 hex digits, the same without seed and fraction: only runs of equal protocol are averaged.
        overrides: What differs from the preset, e.g. {"method.beta": 500, "epochs": 40}.
    """

    experiment: str
    dataset: str
    model: str
    method: str
    label: str
    fraction: float
    seed: int
    subset_seed: int
    budget: str
    digest: str
    protocol: str
    overrides: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How well it went, on the test set; accuracies and agreement are in [0, 1]. All null if the run failed."""

    last_accuracy: float | None = None
    best_accuracy: float | None = None
    best_epoch: int | None = None
    teacher_accuracy: float | None = None
    teacher_digest: str | None = None
    peer_accuracy: float | None = None
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What it took. `steps` counts the training steps of each stage, in the stages' order."""

    train_images: int | None = None
    steps: dict[str, int] | None = None
    seconds: float | None = None
    training_seconds: float | None = None
    peak_memory_bytes: int | None = None
    parameters: int | None = None
    multiply_adds: int | None = None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and with what it ran. `precision` is the resolved one, e.g. "float32"; `finished` is ISO 8601, in UTC."""

    precision: str
    replicas: int
    seeds: dict[str, int]
    versions: dict[str, Any]
    machine: dict[str, Any]
    git: dict[str, Any]
    finished: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that is known of a finished run."""

    schema: int = SCHEMA_VERSION
    status: str
    reason: str | None = None
    run: Run
    scores: Scores
    cost: Cost
    setting: Setting

    def __post_init__(self) -> None:
        accuracy = self.scores.last_accuracy
        if self.status not in (DONE, FAILED):
            raise ValueError(f"status is {self.status!r}, not {DONE!r} or {FAILED!r}")
        if self.status == DONE and (accuracy is None or not 0 <= accuracy <= 1):
            raise ValueError(f"status is {DONE!r} but last_accuracy is {accuracy}, not in [0, 1]")
        if self.status == FAILED and not self.reason:
            raise ValueError(f"status is {FAILED!r} without a reason")
        if not 0 < self.run.fraction <= 1:
            raise ValueError(f"fraction is {self.run.fraction}, not in (0, 1]")


def write_record(directory: Path, record: Record) -> None:
    """Writes the record into the run's directory, atomically."""
    text = json.dumps(asdict(record), indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(directory / RECORD_NAME, text + "\n")


def read_record(path: Path) -> Record:
    """Reads a `result.json`.

    Raises:
        RecordError: It is missing, truncated, of another schema version, or has missing, unknown or mistyped fields.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); delete it and repeat the run") from error
    try:
        return _parse(document)
    except ValueError as error:
        raise RecordError(f"{path}: {error}; delete it and repeat the run") from error


def finished(directory: Path) -> Record | None:
    """Returns the record of a run that is done; None if it has not run, was interrupted or has failed.

    Raises:
        RecordError: There is a record that cannot be used.
    """
    path = directory / RECORD_NAME
    record = read_record(path) if path.exists() else None
    return record if record is not None and record.status == DONE else None


def find_runs(outputs: Path) -> Iterator[tuple[Path, bool]]:
    """Yields every run's directory below `outputs`, in order, and whether it holds a record."""
    for directory, subdirectories, files in os.walk(outputs):
        has_record = RECORD_NAME in files
        # A finished run's own subdirectories hold no runs; hidden ones (.hydra) have a config.yaml of their own.
        subdirectories[:] = [] if has_record else sorted(name for name in subdirectories if not name.startswith("."))
        if has_record or CONFIG_NAME in files:
            yield Path(directory), has_record


def find_records(outputs: Path) -> list[Path]:
    """Returns the path of every `result.json` below `outputs`, in order."""
    return [directory / RECORD_NAME for directory, has_record in find_runs(outputs) if has_record]


def _parse(document: Any) -> Record:
    version = document.get("schema") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"its schema version is {version}, this kd_bench reads {SCHEMA_VERSION}: another version wrote it"
        )
    _check_fields(Record, document)
    parts: dict[str, Any] = {name: _parse_part(kind, document[name]) for name, kind in _PARTS.items()}
    return Record(**{**document, **parts})


def _parse_part(kind: type[Part], document: dict[str, Any]) -> Part:
    _check_fields(kind, document)
    return kind(**document)


def _check_fields(kind: type, document: dict[str, Any]) -> None:
    expected = _TYPES[kind]
    if document.keys() != expected.keys():
        missing, unknown = sorted(expected.keys() - document.keys()), sorted(document.keys() - expected.keys())
        raise ValueError(f"in its {kind.__name__.lower()}, missing fields: {missing}, unknown fields: {unknown}")
    for name, types in expected.items():
        if not isinstance(document[name], types):
            raise ValueError(f"its field {name} cannot be {document[name]!r}")


def _json_types(annotation: Any) -> tuple[type, ...]:
    """Returns what `isinstance` accepts for a field's annotation, as JSON has it: an object for a dataclass."""
    members = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    plain = [get_origin(member) or member for member in members]
    types = [dict if kind in _PARTS.values() else kind for kind in plain]
    return (*types, int) if float in types else tuple(types)


_PARTS: dict[str, type] = {"run": Run, "scores": Scores, "cost": Cost, "setting": Setting}
_TYPES: dict[type, dict[str, tuple[type, ...]]] = {
    kind: {field.name: _json_types(field.type) for field in fields(kind)}
    for kind in (Record, Run, Scores, Cost, Setting)
}
