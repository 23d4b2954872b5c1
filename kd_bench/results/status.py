"""How far all runs are: done, running, waiting, failed. For whoever watches a sweep from outside; it writes nothing."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kd_bench.errors import BenchError, DamageError
from kd_bench.results.sources import read_sources
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import holder, is_locked
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.progress import Progress, checkpoint_of, progress
from kd_bench.runs.record import DONE, Run


@dataclass(frozen=True)
class Unfinished:
    """A run without a record.

    Attributes:
        folder: its own.
        holder: the process that runs it, or was the last to do so.
        config: as the run wrote it; empty if it has not come to that.
        progress: by its metrics; None before the end of its first epoch.
        checkpoint: the stage, and how many of its steps are over, where it would go on; None at the start.
        silent: seconds since it last wrote metrics, or since it began.
    """

    folder: RunFolder
    holder: str | None
    config: Mapping[str, Any]
    progress: Progress | None
    checkpoint: tuple[str, int] | None
    silent: float

    @property
    def seconds_left(self) -> float | None:
        """Until the end of its training; None if that cannot be told yet."""
        if self.progress is None or self.progress.seconds_left is None:
            return None
        return max(self.progress.seconds_left - min(self.silent, self.progress.seconds), 0)


@dataclass
class Status:
    """All runs of some sources, each once.

    Attributes:
        done: how many are.
        running: those that a process has locked.
        waiting: those that no process has locked: interrupted, or not taken up yet.
        failed: what was asked for, and why it failed.
        damaged: a message for each file that cannot be used.
    """

    done: int = 0
    running: list[Unfinished] = field(default_factory=list)
    waiting: list[Unfinished] = field(default_factory=list)
    failed: list[tuple[Run, str]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def read_status(sources: Iterable[Path]) -> Status:
    """Returns how far the runs of outputs folders and bundles are. Of a run in several, the one that is furthest counts.

    Raises:
        BenchError: A source is neither, is not there, or is a bundle that cannot be read at all.
    """
    found = read_sources(sources)
    status = Status(damaged=found.unreadable)
    folders = [RunFolder(Path(folder)) for folder in found.unfinished]
    locked = [folder for folder in folders if _is_locked(folder, status.damaged)]
    # A folder that got its record, or was deleted, since the folders were listed is no run that waits.
    free = [folder for folder in folders if folder not in locked and _waits(folder)]
    records = {Path(run.folder).name: run.record for run in found.runs if run.record.status != DONE}
    seen = {Path(run.folder).name for run in found.runs if run.record.status == DONE}
    status.done = len(seen)
    status.running = [_look(folder, status.damaged) for folder in locked if _is_new(folder.path.name, seen)]
    status.failed = [(one.run, one.reason or "") for name, one in records.items() if _is_new(name, seen)]
    status.waiting = [_look(folder, status.damaged) for folder in free if _is_new(folder.path.name, seen)]
    return status


def _is_new(name: str, seen: set[str]) -> bool:
    """Returns whether a run was not seen yet, and notes it. A folder's name, seed and digest, is the run's."""
    new = name not in seen
    seen.add(name)
    return new


def _is_locked(folder: RunFolder, damaged: list[str]) -> bool:
    try:
        return is_locked(folder)
    except BenchError as problem:
        damaged.append(str(problem))
        return False


def _waits(folder: RunFolder) -> bool:
    return folder.path.exists() and not folder.record.exists()


def _look(folder: RunFolder, damaged: list[str]) -> Unfinished:
    config: Mapping[str, Any] = {}
    how_far = None
    try:
        config = _read_config(folder)
        if config:
            how_far = progress(read_metrics(folder.metrics), config["epochs"], config["evaluate_every"])
    except DamageError as problem:
        damaged.append(str(problem))
    silent = max(time.time() - _last_written(folder), 0)
    return Unfinished(folder, holder(folder), config, how_far, checkpoint_of(folder), silent)


def _read_config(folder: RunFolder) -> Mapping[str, Any]:
    """Returns a run's config, empty if it is not there yet.

    Raises:
        DamageError: It is not what a run wrote.
    """
    try:
        config = yaml.load(folder.config.read_bytes(), _LOADER)
        _title(config), config["epochs"], config["evaluate_every"]
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, KeyError, TypeError) as problem:
        raise DamageError(f"{folder.config}: is damaged; the run writes it again when it goes on") from problem
    return config
