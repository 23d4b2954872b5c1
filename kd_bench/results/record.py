"""A run's record: `result.json`, written once and last. Its presence says that the run is over.

Its first line holds a checksum of all that follows: whoever edits a number has to say so by deleting the record.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from kd_bench.errors import BenchError, DamageError
from kd_bench.results.files import sha256, write_atomically

SCHEMA_VERSION = 2
_WITHOUT_CHECKSUM = 1
"""The first version's records had neither checksum nor `files`, `data` and `sessions`; they are read without."""
DONE, FAILED = "done", "failed"
RECORD_NAME, CONFIG_NAME, CHECKPOINTS_NAME = "result.json", "config.yaml", "checkpoints"

Part = TypeVar("Part")


class RecordError(DamageError):
    """A file of a run that cannot be used; the message names the file, what is wrong and what to do."""


class SchemaError(BenchError):
    """A record of a schema version that this version does not read."""


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
    """Where and with what it ran.

    Attributes:
        precision: The resolved one, e.g. "float32".
        data: 16 hex digits over all images and labels, None if the run failed before they were read.
        finished: ISO 8601, in UTC.
        sessions: What trained it, one after the other: when each began, from which stage and step, at which revision.
    """

    precision: str
    replicas: int
    seeds: dict[str, int]
    versions: dict[str, Any]
    machine: dict[str, Any]
    git: dict[str, Any]
    finished: str
    data: str | None = None
    sessions: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that is known of a finished run. `files` has the SHA-256 of each file that the run left beside it."""

    schema: int = SCHEMA_VERSION
    status: str
    reason: str | None = None
    run: Run
    scores: Scores
    cost: Cost
    setting: Setting
    files: dict[str, str] = field(default_factory=dict)

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
    """Writes the record into the run's directory, atomically.

    Raises:
        StorageError: It cannot be written.
    """
    text = json.dumps(asdict(record), indent=2, allow_nan=False, ensure_ascii=False)
    body = text.removeprefix("{\n") + "\n"
    write_atomically(directory / RECORD_NAME, f'{{\n  "checksum": "{_checksum(body.encode())}",\n{body}')


def read_record(path: Path) -> Record:
    """Reads a `result.json`.

    Raises:
        RecordError: It is missing, truncated or altered, or has missing, unknown or mistyped fields.
        SchemaError: Another version of this program wrote it.
    """
    try:
        content = path.read_bytes()
        document = json.loads(content)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read ({error}); delete it and repeat the run") from error
    if isinstance(document, dict) and document.get("schema") not in (None, _WITHOUT_CHECKSUM, SCHEMA_VERSION):
        raise SchemaError(
            f"{path}: its schema version is {document['schema']}, this kd_bench reads {_WITHOUT_CHECKSUM} and "
            f"{SCHEMA_VERSION}: another version wrote it; use that one, or move the file away and repeat the run"
        )
    try:
        return _parse(document, content)
    except ValueError as error:
        raise RecordError(f"{path}: {error}; delete it and repeat the run") from error


def checksums(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """Returns the SHA-256 of each of the files that is there, by its name."""
    return {name: sha256(directory / name) for name in names if (directory / name).is_file()}


def altered_files(directory: Path, record: Record) -> list[Path]:
    """Returns those of the files beside a record that are not what the run left there; one that is gone is not told."""
    paths = {directory / name: checksum for name, checksum in record.files.items()}
    return [path for path, checksum in paths.items() if path.is_file() and sha256(path) != checksum]


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


def _checksum(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _parse(document: Any, content: bytes) -> Record:
    if not isinstance(document, dict) or "schema" not in document:
        raise ValueError("is no record")
    if document["schema"] == _WITHOUT_CHECKSUM:
        document = _upgraded(document)
    elif document.pop("checksum", None) != _checksum(content.split(b"\n", 2)[-1]):
        raise ValueError("is not what was written (its checksum differs)")
    _check_fields(Record, document)
    parts: dict[str, Any] = {name: _parse_part(kind, document[name]) for name, kind in _PARTS.items()}
    return Record(**{**document, **parts})


def _upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """Returns a record of the first version with what it did not know yet: nothing."""
    if isinstance(document.get("setting"), dict):
        document["setting"] |= {"data": None, "sessions": []}
    return document | {"files": {}}


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
