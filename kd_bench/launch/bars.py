"""The progress of a sweep in a terminal: a bar for all runs, and below it a bar for each running run."""

from typing import Any, TextIO

from tqdm import tqdm

from kd_bench.launch.sweep import Sweep
from kd_bench.runs.standing import Standing

_ALL = "{desc} {percentage:3.0f}%|{bar}| {elapsed} elapsed, {remaining} left"
_ONE = "  {desc} |{bar:10}|"
_MOST = 8
"""Runs that have a bar of their own."""


class Bars:
    """Draws the bars of a sweep that has begun. The speed includes the work of other commands since then."""

    def __init__(self, sweep: Sweep, terminal: TextIO) -> None:
        self._sweep = sweep
        self._options: dict[str, Any] = {"file": terminal, "dynamic_ncols": True, "leave": False}
        self._initial = sweep.done
        self._all = tqdm(total=sweep.work, initial=sweep.done, desc=self._summary(), bar_format=_ALL, **self._options)
        self._each: list[tqdm] = []

    def draw(self) -> None:
        """Draws what the sweep found at its last update."""
        self._all.n = max(self._sweep.done, self._initial)
        self._all.set_description_str(self._summary())
        running = self._sweep.running[:_MOST]
        while len(self._each) > len(running):
            self._each.pop().close()
        for bar, one in zip(self._each, running, strict=False):
            bar.n = one.share
            bar.set_description_str(_description(one))
        for one in running[len(self._each) :]:
            options: dict[str, Any] = {"position": len(self._each) + 1, "bar_format": _ONE} | self._options
            self._each.append(tqdm(total=1, initial=one.share, desc=_description(one), **options))

    def close(self) -> None:
        """Removes the bars."""
        for bar in (*reversed(self._each), self._all):
            bar.close()

    def _summary(self) -> str:
        return f"{self._sweep.finished} of {self._sweep.requested} runs{self._sweep.failed}"


def _description(standing: Standing) -> str:
    """Returns where a run is: stage, epoch, accuracy, time left."""
    progress = standing.kept_progress
    if progress is None:
        return f"{standing.title}: in its first epoch"
    return f"{standing.title}: {progress}, {tqdm.format_interval(progress.seconds_left)} left"
