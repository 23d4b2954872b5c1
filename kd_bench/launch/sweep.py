"""The progress of the runs of a command, read from the files that the runs write."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError, DamageError
from kd_bench.launch.processes import is_to_do
from kd_bench.runs.files import read_file
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import is_held
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.progress import Progress, progress
from kd_bench.runs.record import is_done


class Running(NamedTuple):
    """A run that a process is doing now; its progress is None before the end of its first epoch."""

    run: RunConfig
    progress: Progress | None


class Sweep:
    """The progress of runs and their teachers on all machines, from the files that they write.

    Work is counted in epochs over the full training set: the weight of a run is the length of its main stage. Earlier
    stages and the sizes of networks are ignored, because they are not in the config.

    Attributes:
        work: the total weight of all runs.
        done: the finished part of `work` at the last check.
    """

    def __init__(self, runs: Sequence[RunConfig]) -> None:
        """Takes the runs of the command."""
        self._asked_for = {run.directory for run in runs}
        self._runs = {run.directory: run for run in with_teachers(runs)}
        self._before: dict[Path, int] = {}
        self._failed: set[Path] = set()
        self._progress: dict[Path, Progress | None] = {}

    def begin(self) -> None:
        """Finds the runs to do. This can take a while, because it verifies the checksums of finished runs."""
        self._to_do = {path: run for path, run in self._runs.items() if is_to_do(run)}
        self._before = {path: _stamp(path) for path in self._to_do}
        counted = {path: run for path, run in self._runs.items() if path in self._asked_for or path in self._to_do}
        self.work = sum(map(weight, counted.values()))
        self.look()
        self._initial, self._began = self.done, time.monotonic()

    def look(self) -> None:
        """Checks the runs."""
        for path in list(self._to_do):
            if _stamp(path) not in (0, self._before[path]):
                del self._to_do[path]
                if not _succeeded(path):
                    self._failed.add(path)
        self._progress = {path: how_far(run) for path, run in self._to_do.items()}
        self.done = self.work - sum(weight(run) * self._left(path) for path, run in self._to_do.items())

    @property
    def over(self) -> int:
        """How many of the command's runs were finished at the last check."""
        return len(self._asked_for - self._to_do.keys())

    @property
    def asked_for(self) -> int:
        """The number of the command's runs."""
        return len(self._asked_for)

    @property
    def failed(self) -> str:
        """How many runs have failed, as the end of a phrase; empty if none has."""
        return f", {len(self._failed)} failed" if self._failed else ""

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end, at the speed since the first check; None if nothing is done since then."""
        new = self.done - self._initial
        return (self.work - self.done) * (time.monotonic() - self._began) / new if new > 0 else None

    def running(self) -> list[Running]:
        """Returns the runs that some process was doing at the last check, in the order of the command."""
        return [Running(run, self._progress[path]) for path, run in self._to_do.items() if _is_running(path)]

    def _left(self, path: Path) -> float:
        found = self._progress[path]
        return 1 - found.share if found else 1.0


def with_teachers(runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Returns the teachers that the runs need, then the runs, each once."""
    teachers = [teacher for run in runs if (teacher := run.teacher_run()) is not None]
    return list({run.directory: run for run in (*teachers, *runs)}.values())


def weight(run: RunConfig) -> float:
    """Returns the length of a run's main stage, in epochs over the full training set."""
    return run.epochs * (run.fraction if run.budget == "epochs" else 1.0)


def how_far(run: RunConfig) -> Progress | None:
    """Returns the progress of an unfinished run; None before the end of its first epoch."""
    folder = RunFolder(run.directory)
    if not folder.checkpoints.exists():  # metrics, if any, are from an attempt that starts over
        return None
    with contextlib.suppress(OSError, DamageError):  # being written, or damaged: the run reports it
        return progress(read_metrics(folder.metrics), run.epochs, run.evaluate_every)
    return None


def _stamp(directory: Path) -> int:
    """Returns the time when a run's record was written, in nanoseconds; 0 without a record."""
    try:
        return RunFolder(directory).record.stat().st_mtime_ns
    except OSError:
        return 0


def _succeeded(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        return is_done(read_file(RunFolder(directory).record))
    return False


def _is_running(directory: Path) -> bool:
    with contextlib.suppress(OSError, BenchError):  # the run itself reports a folder that cannot be used
        return is_held(RunFolder(directory))
    return False
