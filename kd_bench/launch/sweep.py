"""The progress of the runs of a command, by their standing."""

import contextlib
import time
from collections.abc import Sequence

from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError
from kd_bench.launch.estimates import length
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.standing import Standing, State, read_standing


class Sweep:
    """The progress of runs and their teachers on all machines, from the files that they write.

    Work is counted in epochs over the full training set: the length of a run is that of its main stage. Earlier
    stages and the sizes of networks are ignored, because they are not in the config.

    Attributes:
        requested: the number of the command's runs.
        work: the total length of all runs.
        done: the finished part of `work` at the last update.
        finished: how many of the command's runs were finished at the last update.
        running: the runs that some process was doing at the last update, in the order of the command.
    """

    def __init__(self, runs: Sequence[RunConfig]) -> None:
        """Takes the runs of the command."""
        self._own = {run.directory for run in runs}
        self._runs = {run.directory: run for run in with_teachers(runs)}
        self._lengths = {path: length(run.facts()) for path, run in self._runs.items()}
        self._failed = 0
        self.requested = len(self._own)

    def begin(self) -> None:
        """Finds the runs to do. This can take a while, because it verifies the checksums of finished runs."""
        self._to_do = {path: run for path, run in self._runs.items() if read_standing(run).is_to_do}
        self.work = sum(self._lengths[path] for path in self._own | self._to_do.keys())
        self.update()
        self._initial, self._began = self.done, time.monotonic()

    def update(self) -> None:
        """Reads the standing of the runs to do."""
        standings = {path: _standing(run) for path, run in self._to_do.items()}
        ended = {path: one for path, one in standings.items() if not one.is_to_do}
        self._failed += sum(one.done is None for one in ended.values())
        self._to_do = {path: run for path, run in self._to_do.items() if path not in ended}
        self.done = self.work - sum(self._lengths[path] * (1 - standings[path].share) for path in self._to_do)
        self.finished = len(self._own - self._to_do.keys())
        self.running = [standings[path] for path in self._to_do if _is_running(standings[path])]

    @property
    def failed(self) -> str:
        """How many runs have failed, as the end of a phrase; empty if none has."""
        return f", {self._failed} failed" if self._failed else ""

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end, at the speed since the first update; None if nothing is done since then."""
        new = self.done - self._initial
        return (self.work - self.done) * (time.monotonic() - self._began) / new if new > 0 else None


def with_teachers(runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Returns the teachers that the runs need, then the runs, each once."""
    teachers = [teacher for run in runs if (teacher := run.teacher_run()) is not None]
    return list({run.directory: run for run in (*teachers, *runs)}.values())


def _standing(run: RunConfig) -> Standing:
    with contextlib.suppress(OSError, BenchError):  # the run itself reports a folder that cannot be used
        return read_standing(run)
    return Standing(RunFolder(run.directory), run)


def _is_running(standing: Standing) -> bool:
    with contextlib.suppress(OSError, BenchError):  # as above
        return standing.state is State.RUNNING
    return False
