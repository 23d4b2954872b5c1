"""The status of runs: done, running, interrupted or failed. For users who watch a sweep; writes nothing."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

from kd_bench.checks import Count, Label, NonNegativeInt, PositiveInt, Share, Shown
from kd_bench.config import title
from kd_bench.documents import read_yaml
from kd_bench.errors import BenchError, DamageError
from kd_bench.runs.files import read_file
from kd_bench.runs.folder import RunFolder, find_runs, read_placed, run_name
from kd_bench.runs.lock import Holder, holder, is_held
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.progress import Progress, checkpoint_of, progress
from kd_bench.runs.record import DONE, FAILED, Record, SchemaError
from kd_bench.typed import known


@dataclass(frozen=True)
class _Begun:
    """The entries of a run's config that the status shows."""

    dataset: dict[str, Any]
    method: dict[str, Any]
    fraction: Share
    seed: NonNegativeInt
    epochs: Count
    evaluate_every: PositiveInt
    variant: Annotated[dict[str, Any], Shown()]

    def __post_init__(self) -> None:
        for component in (self.dataset, self.method):
            known(_Named, component)


@dataclass(frozen=True)
class _Named:
    name: Label


@dataclass(frozen=True)
class Unfinished:
    """A run without a record.

    Attributes:
        title: a short description; the run's folder, if the run has not written its config yet.
        holder: the process that does the run, or the last one that did.
        progress: read from the run's metrics; None before the end of the first epoch.
        checkpoint: the stage from which the run can resume, and the steps done in it; None without a checkpoint.
        silent: seconds since the run last wrote metrics, or since its process began.
    """

    title: str
    holder: Holder | None
    progress: Progress | None
    checkpoint: tuple[str, int] | None
    silent: float

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end of the training; None if that is not known yet."""
        if self.progress is None:
            return None
        return max(self.progress.seconds_left - min(self.silent, self.progress.seconds), 0)


@dataclass
class Status:
    """All runs of some outputs folders, each once.

    Attributes:
        done: the number of runs that are done.
        running: the unfinished runs that a process has locked.
        interrupted: the unfinished runs that no process has locked.
        failed: the title of each failed run, and why it failed.
        damaged: a message for each file that cannot be used.
    """

    done: int = 0
    running: list[Unfinished] = field(default_factory=list)
    interrupted: list[Unfinished] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def read_status(outputs: Iterable[Path]) -> Status:
    """Returns the status of the runs in these folders. A run in several folders counts once, where it is furthest.

    Raises:
        BenchError: A folder does not exist, or its file system has no locks.
    """
    status = Status()
    found: dict[tuple[str, ...], _Found] = {}
    for folder in (run for place in outputs for run in _runs(place, status.damaged)):
        try:
            one = _find(folder)
        except OSError as problem:
            status.damaged.append(f"{problem.filename or folder}: cannot be read ({problem.strerror})")
            continue
        except (DamageError, SchemaError) as problem:
            status.damaged.append(str(problem))
            continue
        name = run_name(folder.path)
        if name not in found or one.kind < found[name].kind:
            found[name] = one
    for one in found.values():
        _add(one, status)
    return status


class _Kind(IntEnum):
    """The states of a run. If a run has several folders, the one with the first state counts."""

    DONE, RUNNING, FAILED, INTERRUPTED, GONE = range(5)


@dataclass(frozen=True)
class _Found:
    kind: _Kind
    folder: RunFolder
    record: Record | None = None


def _runs(outputs: Path, damaged: list[str]) -> Iterator[RunFolder]:
    if not outputs.is_dir():
        raise BenchError(f"{outputs}: is not a folder; the status needs outputs folders")
    return (folder for folder, _ in find_runs(outputs, damaged))


def _find(folder: RunFolder) -> _Found:
    """Returns the state of a run.

    Raises:
        DamageError, SchemaError: The record cannot be used.
    """
    try:
        record = _record(folder)
    except DamageError:
        if is_held(folder):  # it is done again
            return _Found(_Kind.RUNNING, folder)
        raise
    if record is not None and record.status == DONE:
        return _Found(_Kind.DONE, folder)
    if is_held(folder):
        return _Found(_Kind.RUNNING, folder)
    record = record or _record(folder)  # the run may have ended since
    if record is not None:
        return _Found(_Kind.FAILED if record.status == FAILED else _Kind.DONE, folder, record)
    return _Found(_Kind.INTERRUPTED if folder.path.exists() else _Kind.GONE, folder)


def _record(folder: RunFolder) -> Record | None:
    return read_placed(folder) if folder.record.exists() else None


def _add(one: _Found, status: Status) -> None:
    if one.kind == _Kind.DONE:
        status.done += 1
    elif one.record is not None:
        status.failed.append((one.record.title, one.record.reason or ""))
    elif one.kind != _Kind.GONE:
        runs = status.running if one.kind == _Kind.RUNNING else status.interrupted
        runs.append(_unfinished(one.folder, status.damaged))


def _unfinished(folder: RunFolder, damaged: list[str]) -> Unfinished:
    name, how_far = str(folder), None
    try:
        if config := _read_config(folder):
            name = _title(config)
            how_far = progress(read_metrics(folder.metrics), config["epochs"], config["evaluate_every"])
    except DamageError as problem:
        damaged.append(str(problem))
    return Unfinished(name, holder(folder), how_far, checkpoint_of(folder), _silence(folder))


def _read_config(folder: RunFolder) -> dict[str, Any]:
    """Returns a run's config; empty if the run has not written it yet.

    Raises:
        DamageError: The file is not a config that a run wrote.
    """
    if not folder.config.exists():
        return {}
    try:
        config: dict[str, Any] = read_yaml(read_file(folder.config))
        known(_Begun, config)
    except OSError as problem:
        raise DamageError(f"{folder.config}: cannot be read ({problem.strerror})") from problem
    except ValueError as problem:
        raise DamageError(f"{folder.config}: is damaged ({problem}); the same command writes it again") from problem
    return config


def _title(config: Mapping[str, Any]) -> str:
    names = config["dataset"]["name"], config["method"]["name"]
    return title(*names, config["fraction"], config["seed"], config["variant"])


def _silence(folder: RunFolder) -> float:
    """Returns the seconds since a run's process last wrote metrics, or since it began."""
    written = [path.stat().st_mtime for path in (folder.metrics, folder.holder) if path.exists()]
    return max(time.time() - max(written, default=0.0), 0.0)
