"""The progress of a command as lines, for output that goes into a file."""

from collections.abc import Iterator
from pathlib import Path

from kd_bench.launch.duration import about
from kd_bench.launch.sweep import Running, Sweep

_QUIET = 30.0
"""Minimum seconds between two lines about the same run, or about the sweep: short runs print none."""
_PARTS = 10
"""A run has a line after each tenth of its epochs."""


class Lines:
    """Decides which lines are due. The runs themselves print when they start and end."""

    def __init__(self, sweep: Sweep, now: float) -> None:
        """Takes a sweep that has begun, and the time in seconds."""
        self._sweep = sweep
        self._over, self._last = sweep.over, now
        self._tenths: dict[Path, tuple[int, float]] = {}

    def due(self, now: float) -> Iterator[str]:
        """Yields the lines that are due since the last call, after a new check of the runs."""
        for running in self._sweep.running():
            yield from self._of_run(running, now)
        over = self._sweep.over
        if self._over < over < self._sweep.asked_for and now - self._last >= _QUIET:
            self._over, self._last = over, now
            left = self._sweep.seconds_left
            yield f"run {over} of {self._sweep.asked_for}{self._sweep.failed}" + (
                f", {about(left)} left" if left else ""
            )

    def _of_run(self, running: Running, now: float) -> Iterator[str]:
        run, progress = running
        tenth = int(_PARTS * progress.share) if progress else 0
        before, last = self._tenths.setdefault(run.directory, (tenth, now))
        if progress and tenth > before and progress.left and now - last >= _QUIET:
            self._tenths[run.directory] = (tenth, now)
            accuracy = "" if progress.accuracy is None else f", {progress.accuracy:.2%}"
            place = f"{progress.stage} {progress.epoch}/{progress.epochs}"
            yield f"{run.title}: {place}{accuracy}, {about(progress.seconds_left)} left"
