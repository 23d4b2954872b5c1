"""A run's record: `result.json`, written once and last. If it exists, the run is done or failed.

Its first entry is a checksum of all others, so that edited numbers are detected.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from kd_bench.checks import (
    Count,
    Digest,
    Hex,
    Label,
    Name,
    NonNegative,
    NonNegativeInt,
    PartialShare,
    PositiveInt,
    Printable,
    Probability,
    Share,
)
from kd_bench.config import TARGET, title
from kd_bench.documents import json_checksum, read_json
from kd_bench.errors import BenchError, DamageError
from kd_bench.runs.files import read_file, write_atomically
from kd_bench.typed import to_dataclass

SCHEMA_VERSION = 4
DONE, FAILED = "done", "failed"


class RecordError(DamageError):
    """A file of a run cannot be used; the message says which file, why, and what to do."""


class SchemaError(BenchError):
    """A record has a schema version that this version cannot read."""


Sha256 = Annotated[str, Hex((64,))]


@dataclass(frozen=True, kw_only=True)
class Run:
    """The choices of the user.

    Attributes:
        label: The method's name in the table, e.g. "FitNet".
        subset_seed: Chooses the training images of a fraction below 1.
        budget: "steps" or "epochs": what is equal at all fractions.
        digest: 16 hex digits; the digest of everything that can change the result.
        protocol: The same without seed and fraction. Only runs with the same protocol are averaged.
        variant: What differs from the preset, e.g. {"method.beta": 500, "epochs": 40}.
    """

    experiment: Label
    dataset: Label
    model: Label
    method: Label
    label: Label
    fraction: Share
    seed: NonNegativeInt
    subset_seed: NonNegativeInt
    budget: Literal["steps", "epochs"]
    digest: Digest
    protocol: Digest
    variant: Annotated[dict[str, Any], Printable()]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores on the test set, or on the images that `validation` held out. All are None if the run failed.

    Accuracies and agreement are in [0, 1].

    Attributes:
        last_accuracy: After the last epoch, as are all scores except the best accuracy.
        best_accuracy: The highest of all epochs. No table uses it.
        top5_accuracy: How often the label is among the five most probable classes; None for five classes or fewer.
        negative_log_likelihood: The mean over the images, in nats.
        calibration_error: Expected calibration error: |accuracy - confidence| in 15 equal bins of confidence, weighted.
        teacher_divergence: KL(teacher || student) of the predicted distributions, in nats per image.
        agreement: How often student and teacher predict the same class.
    """

    last_accuracy: Probability | None = None
    best_accuracy: Probability | None = None
    best_epoch: NonNegativeInt | None = None
    top5_accuracy: Probability | None = None
    negative_log_likelihood: float | None = None
    calibration_error: float | None = None
    teacher_accuracy: Probability | None = None
    teacher_digest: Digest | None = None
    teacher_divergence: float | None = None
    agreement: Probability | None = None
    peer_accuracy: Probability | None = None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of the run. What belongs to stages is by their names, in their order.

    Attributes:
        steps: The training steps of each stage.
        seconds: Of the run, in all attempts: with reading the data, evaluations and checkpoints.
        training_seconds: The part of `seconds` from the first step to the last evaluation.
        stage_seconds: Of the epochs of each stage, without evaluations. An epoch that was interrupted counts from where
            it was resumed.
        stage_multiply_adds: Of all steps of each stage: forward and backward, with the teacher and the method's own
            work; None where they cannot be counted. Empty in records of earlier versions.
        parameters: Of the deployed network.
        multiply_adds: Of its forward pass, for one image.
    """

    train_images: NonNegativeInt | None = None
    steps: dict[Label, NonNegativeInt] | None = None
    seconds: NonNegative | None = None
    training_seconds: NonNegative | None = None
    stage_seconds: dict[Label, NonNegative] = field(default_factory=dict)
    stage_multiply_adds: dict[Label, NonNegativeInt | None] = field(default_factory=dict)
    peak_memory_bytes: NonNegativeInt | None = None
    parameters: NonNegativeInt | None = None
    multiply_adds: NonNegativeInt | None = None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The software, the machine, the data and the seeds of the run.

    Attributes:
        precision: The precision that was used, e.g. "float32".
        code: The fingerprint of the sources that can change the result, 16 hex digits.
        data: The fingerprint of all images and labels (with `validation`: only of the training split), 16 hex digits;
            None if the run failed before they were read.
        train_data: The fingerprint of the training split, 16 hex digits; empty in records of earlier versions.
        effective: The used values of hyper-parameters that are not those of the method's authors, by key.
        finished: ISO 8601, in UTC.
        attempts: In order: when each began, from which stage and step, at which revision.
    """

    precision: Label
    replicas: NonNegativeInt
    seeds: dict[Label, int]
    versions: dict[Label, Label | None]
    machine: dict[str, Any]
    git: dict[str, Any]
    code: Label
    finished: Label
    data: Label | None = None
    train_data: Label = ""
    effective: dict[Label, float | Label] = field(default_factory=dict)
    attempts: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that is known about a run that is done or failed.

    Attributes:
        status: "done" or "failed".
        reason: Why it failed.
        warnings: Problems that the method found in its training.
        config: Everything in the run's config that can change the result: `run.digest` is its digest.
        files: The SHA-256 of each other file that the run wrote, by the file's name.
    """

    schema: int = SCHEMA_VERSION
    status: str
    reason: str | None = None
    warnings: list[str] = field(default_factory=list)
    run: Run
    scores: Scores
    cost: Cost
    setting: Setting
    config: dict[str, Any]
    files: dict[Name, Sha256] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A short description of the run, for messages."""
        run = self.run
        return title(run.dataset, run.method, run.fraction, run.seed, run.variant)

    def __post_init__(self) -> None:
        accuracy = self.scores.last_accuracy
        if self.status not in (DONE, FAILED):
            raise ValueError(f"status is {self.status!r}, not {DONE!r} or {FAILED!r}")
        if self.status == DONE and (accuracy is None or not 0 <= accuracy <= 1):
            raise ValueError(f"status is {DONE!r} but last_accuracy is {accuracy}, not in [0, 1]")
        if self.status == DONE and not self.cost.steps:
            raise ValueError(f"status is {DONE!r} without steps")
        if self.status == FAILED and not self.reason:
            raise ValueError(f"status is {FAILED!r} without a reason")
        if not 0 < self.run.fraction <= 1:
            raise ValueError(f"fraction is {self.run.fraction}, not in (0, 1]")


def write_record(path: Path, record: Record) -> None:
    """Writes a `result.json`, atomically.

    Raises:
        StorageError: It cannot be written.
    """
    write_atomically(path, record_text(record))


def record_text(record: Record) -> str:
    """Returns the content of a `result.json`."""
    return document_text(record_document(record))


def record_document(record: Record) -> dict[str, Any]:
    """Returns a record as plain containers, with its checksum."""
    document = asdict(record)
    return {"checksum": json_checksum(document), **document}


def document_text(document: Mapping[str, Any]) -> str:
    """Returns the content of the `result.json` with this document."""
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def read_record(path: Path) -> Record:
    """Reads a `result.json`.

    Raises:
        RecordError: It is missing, truncated or altered.
        SchemaError: Another version of this program wrote it.
    """
    try:
        return parse_record(read_file(path))
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}; use that version, or move the file away and repeat the run") from error
    except OSError as error:  # a file of somebody else, or a lost disk: the run itself may be sound
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise RecordError(f"{path}: {error}; delete it and repeat the run") from error


def parse_record(content: bytes) -> Record:
    """Returns the record in a `result.json` with this content.

    Raises:
        SchemaError: Another version of this program wrote it.
        ValueError: It is damaged or was edited, or holds what no run writes.
    """
    return read_document(read_json(content))


def read_document(document: Any) -> Record:
    """Returns the record that a document describes; raises as `parse_record`."""
    if not isinstance(document, dict) or "schema" not in document:
        raise ValueError("is not a record")
    if document["schema"] != SCHEMA_VERSION:
        raise SchemaError(
            f"its schema version is {document['schema']}, this version reads {SCHEMA_VERSION}: another version wrote it"
        )
    content = {name: value for name, value in document.items() if name != "checksum"}
    if document.get("checksum") != json_checksum(content):
        raise ValueError("is not what was written (its checksum differs)")
    return _checked_record(content)


def _checked_record(content: Mapping[str, Any]) -> Record:
    record = to_dataclass(Record, content)
    to_dataclass(_Facts, record.config, ignore_unknown=True)
    to_dataclass(_Git, record.setting.git, ignore_unknown=True)
    return record


@dataclass(frozen=True)
class _Tuned:
    trials: NonNegativeInt
    keys: list[Label]


@dataclass(frozen=True)
class _Git:
    revision: Label | None = None
    dirty: bool | None = None


@dataclass(frozen=True)
class _Facts:
    """The entries of a record's config that tables and estimates use."""

    method: dict[str, Any]
    fraction: Share = 1.0
    epochs: Count = 1
    validation: PartialShare = 0.0
    evaluate_every: PositiveInt = 1
    teacher: dict[str, Any] = field(default_factory=dict)
    tuned: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if TARGET not in self.method:
            raise ValueError("config.method has no _target_")
        if self.tuned:
            to_dataclass(_Tuned, self.tuned, ignore_unknown=True)
