"""The progress bar of a whole sweep in a terminal: its progress and the time left."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from kd_bench.config.schema import RunConfig
from kd_bench.errors import DamageError
from kd_bench.launch.processes import is_to_do
from kd_bench.launch.terminal import gathering
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.progress import progress
from kd_bench.runs.record import is_done

_PAUSE = 1.0
"""Minimum seconds between two checks of the runs."""
_REST = 20
"""The pause after a check takes at least this many times as long as the check, for slow file systems."""
_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed} elapsed, {remaining} left"


@contextlib.contextmanager
def overall_bar(runs: Sequence[RunConfig]) -> Iterator[None]:
    """Shows a bar for all of these runs while the body does them.

    There is no bar for a single run, because it draws its own, or if the standard error is not a terminal.
    """
    if len(runs) < 2 or not sys.stderr.isatty():  # noqa: PLR2004 - a sweep
        yield
        return
    tqdm.set_lock(threading.RLock())  # the default lock is shared with other processes
    ended = threading.Event()
    with gathering() as terminal:
        thread = threading.Thread(target=_draw, args=(Sweep(runs), terminal, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _draw(sweep: "Sweep", terminal: TextIO, ended: threading.Event) -> None:
    """Draws the bar until the end. Its speed includes the work of other commands since the first check."""
    sweep.begin()
    initial = sweep.work_done()
    look: dict[str, Any] = {"desc": sweep.summary(), "bar_format": _FORMAT, "dynamic_ncols": True, "leave": False}
    with tqdm(total=sweep.work, initial=initial, file=terminal, **look) as bar:
        pause = 0.0
        while not ended.wait(pause):
            began = time.monotonic()
            bar.n = max(sweep.work_done(), initial)
            bar.set_description_str(sweep.summary())
            pause = max(_PAUSE, _REST * (time.monotonic() - began))


class Sweep:
    """The progress of runs and their teachers on all machines, from the files that they write.

    Work is counted in epochs over the full training set: the weight of a run is the length of its main stage. Earlier
    stages and the sizes of networks are ignored, because they are not in the config.

    Attributes:
        work: the total weight of all runs.
    """

    def __init__(self, runs: Sequence[RunConfig]) -> None:
        """Takes the runs of the command."""
        self._asked_for = {run.directory for run in runs}
        everything = [run for one in runs for run in (one, one.teacher_run()) if run is not None]
        self._runs = {run.directory: run for run in everything}
        self._before: dict[Path, int] = {}
        self._failed: set[Path] = set()

    def begin(self) -> None:
        """Finds the runs to do. This can take a while, because it verifies the checksums of finished runs."""
        self._to_do = {path: run for path, run in self._runs.items() if is_to_do(run)}
        self._before = {path: _stamp(path) for path in self._to_do}
        counted = {path: run for path, run in self._runs.items() if path in self._asked_for or path in self._to_do}
        self.work = sum(map(_weight, counted.values()))

    def work_done(self) -> float:
        """Checks the runs; returns the finished part of `work`."""
        for path in list(self._to_do):
            if _stamp(path) not in (0, self._before[path]):
                del self._to_do[path]
                if not _succeeded(path):
                    self._failed.add(path)
        return self.work - sum(_weight(run) * (1 - _share(run)) for run in self._to_do.values())

    def summary(self) -> str:
        """Returns how many of the command's runs were finished at the last check."""
        over = self._asked_for - self._to_do.keys()
        failed = f", {len(self._failed)} failed" if self._failed else ""
        return f"{len(over)} of {len(self._asked_for)} runs{failed}"


def _weight(run: RunConfig) -> float:
    return run.epochs * (run.fraction if run.budget == "epochs" else 1.0)


def _stamp(directory: Path) -> int:
    """Returns the time when a run's record was written, in nanoseconds; 0 without a record."""
    try:
        return RunFolder(directory).record.stat().st_mtime_ns
    except OSError:
        return 0


def _succeeded(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        return is_done(RunFolder(directory).record.read_bytes())
    return False


def _share(run: RunConfig) -> float:
    """Returns the finished fraction of a run's training, in [0, 1]."""
    folder = RunFolder(run.directory)
    if not folder.checkpoints.exists():  # metrics, if any, are from an attempt that starts over
        return 0.0
    with contextlib.suppress(OSError, DamageError):  # being written, or damaged: the run reports it
        how_far = progress(read_metrics(folder.metrics), run.epochs, run.evaluate_every)
        return how_far.share if how_far else 0.0
    return 0.0
