"""How far the runs are: done, running, interrupted, failed. For whoever watches a sweep; it writes nothing."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import yaml

from kd_bench.config import title
from kd_bench.errors import BenchError, DamageError
from kd_bench.runs.folder import RunFolder, find_runs, run_name
from kd_bench.runs.lock import Holder, holder, is_held
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.progress import Progress, checkpoint_of, progress
from kd_bench.runs.record import FAILED, Record, SchemaError, is_done, read_record


@dataclass(frozen=True)
class Unfinished:
    """A run without a record.

    Attributes:
        title: in a few words; its folder, if it has not come to write its config.
        holder: the process that runs it, or was the last to do so.
        progress: by its metrics; None before the end of its first epoch.
        checkpoint: the stage, and how many of its steps are over, where it would go on; None at the start.
        silent: seconds since it last wrote metrics, or since its process began.
    """

    title: str
    holder: Holder | None
    progress: Progress | None
    checkpoint: tuple[str, int] | None
    silent: float

    @property
    def seconds_left(self) -> float | None:
        """Until the end of its training; None if that cannot be told yet."""
        if self.progress is None:
            return None
        return max(self.progress.seconds_left - min(self.silent, self.progress.seconds), 0)


@dataclass
class Status:
    """All runs of some outputs folders, each once.

    Attributes:
        done: how many are.
        running: those that a process has locked.
        interrupted: those that no process has locked.
        failed: the title of each, and why it failed.
        damaged: a message for each file that cannot be used.
    """

    done: int = 0
    running: list[Unfinished] = field(default_factory=list)
    interrupted: list[Unfinished] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def read_status(outputs: Iterable[Path]) -> Status:
    """Returns how far the runs in these folders are. A run that is in several counts once: where it is furthest.

    Raises:
        BenchError: There is no such folder, or its file system has no locks.
    """
    status = Status()
    found: dict[tuple[str, ...], _Found] = {}
    for folder in (run for place in outputs for run in _runs(place)):
        try:
            one = _find(folder)
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
    """In the order in which a run's folders count."""

    DONE, RUNNING, FAILED, INTERRUPTED, GONE = range(5)


@dataclass(frozen=True)
class _Found:
    kind: _Kind
    folder: RunFolder
    record: Record | None = None


def _runs(outputs: Path) -> Iterator[RunFolder]:
    if not outputs.is_dir():
        raise BenchError(f"{outputs}: is no folder; the runs in outputs folders can be watched, and no others")
    return (folder for folder, _ in find_runs(outputs))


def _find(folder: RunFolder) -> _Found:
    """Returns of which kind a run is. Only a record of a run that is not done is parsed: there are few.

    Raises:
        DamageError, SchemaError: Its record cannot be used.
    """
    if folder.record.exists() and is_done(folder.record.read_bytes()):
        return _Found(_Kind.DONE, folder)
    if is_held(folder):
        return _Found(_Kind.RUNNING, folder)
    if folder.record.exists():
        record = read_record(folder.record)
        return _Found(_Kind.FAILED if record.status == FAILED else _Kind.DONE, folder, record)
    return _Found(_Kind.INTERRUPTED if folder.path.exists() else _Kind.GONE, folder)


def _add(one: _Found, status: Status) -> None:
    if one.kind == _Kind.DONE:
        status.done += 1
    elif one.record is not None:
        run = one.record.run
        name = title(run.dataset, run.method, run.fraction, run.seed, run.overrides)
        status.failed.append((name, one.record.reason or ""))
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
    """Returns a run's config, empty if it has not come to write it.

    Raises:
        DamageError: It is not what a run wrote.
    """
    if not folder.config.exists():
        return {}
    try:
        config = yaml.safe_load(folder.config.read_bytes())
        _title(config), config["epochs"], config["evaluate_every"]
    except (yaml.YAMLError, KeyError, TypeError) as problem:
        raise DamageError(f"{folder.config}: is damaged; the same command writes it again") from problem
    return config


def _title(config: Mapping[str, Any]) -> str:
    names = config["dataset"]["name"], config["method"]["name"]
    return title(*names, config["fraction"], config["seed"], config["variant"])


def _silence(folder: RunFolder) -> float:
    """Returns the seconds since a run's process last wrote metrics, or since it began."""
    written = [path.stat().st_mtime for path in (folder.metrics, folder.holder) if path.exists()]
    return max(time.time() - max(written, default=0.0), 0.0)
