"""The progress of a command as lines, for output that goes into a file."""

from collections.abc import Iterator
from pathlib import Path

from kd_bench.launch.duration import format_duration
from kd_bench.launch.sweep import Sweep
from kd_bench.runs.standing import Standing

_QUIET = 30.0
"""Minimum seconds between two lines about the same run, or about the sweep: short runs print none."""
_PARTS = 10
"""A run has a line after each tenth of its epochs."""


class Lines:
    """Decides which lines are due. The runs themselves print when they start and end."""

    def __init__(self, sweep: Sweep, now: float) -> None:
        """Takes a sweep that has begun, and the time in seconds."""
        self._sweep = sweep
        self._finished, self._last = sweep.finished, now
        self._tenths: dict[Path, tuple[int, float]] = {}

    def due(self, now: float) -> Iterator[str]:
        """Yields the lines that are due since the last call, after an update of the sweep."""
        for standing in self._sweep.running:
            yield from self._of_run(standing, now)
        finished, requested = self._sweep.finished, self._sweep.requested
        if self._finished < finished < requested and now - self._last >= _QUIET:
            self._finished, self._last = finished, now
            left = self._sweep.seconds_left
            yield f"run {finished} of {requested}{self._sweep.failed}" + (
                f", {format_duration(left)} left" if left else ""
            )

    def _of_run(self, standing: Standing, now: float) -> Iterator[str]:
        path, progress = standing.folder.path, standing.kept_progress
        tenth = int(_PARTS * standing.share)
        before, last = self._tenths.setdefault(path, (tenth, now))
        if progress and tenth > before and progress.left and now - last >= _QUIET:
            self._tenths[path] = (tenth, now)
            yield f"{standing.title}: {progress}, {format_duration(progress.seconds_left)} left"
