"""How far a run's training is, and how fast, by what it has written so far."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kd_bench.config import MAIN_STAGE
from kd_bench.runs.folder import RunFolder

_RECENT = 5
"""Epochs whose median is the pace: tracing makes the first one long, a resumed one may be a part."""


@dataclass(frozen=True)
class Progress:
    """How far a run's training is.

    Attributes:
        stage: the current one.
        epoch: of the stage; so many are over.
        epochs: the stage's length; None if an earlier version wrote the metrics, which did not say.
        over: epochs of all stages so far.
        left: epochs of the stage and of the main stage; None like `epochs`.
        seconds: of an epoch, with its part of the evaluations.
    """

    stage: str
    epoch: int
    epochs: int | None
    over: int
    left: int | None
    seconds: float

    @property
    def share(self) -> float:
        """How much of the training is over, in [0, 1]."""
        return self.over / (self.over + self.left) if self.left is not None else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace of the current stage."""
        return None if self.left is None else self.left * self.seconds


def progress(lines: Sequence[Mapping[str, Any]], epochs: int, evaluate_every: int) -> Progress | None:
    """Returns how far a run is; None before the end of its first epoch.

    Args:
        lines: its metrics.
        epochs: its config's: the length of the main stage.
        evaluate_every: its config's.
    """
    if not lines:
        return None
    stage, epoch, is_main = lines[-1]["stage"], lines[-1]["epoch"], lines[-1]["stage"] == MAIN_STAGE
    length = lines[-1].get("epochs", epochs if is_main else None)
    left = None if length is None else length - epoch + (0 if is_main else epochs)
    recent = [line["seconds"] for line in lines if line["stage"] == stage][-_RECENT:]
    evaluations = [line["evaluation_seconds"] for line in lines if "evaluation_seconds" in line]
    evaluation = evaluations[-1] / evaluate_every if evaluations else 0.0
    return Progress(stage, epoch, length, len(lines), left, statistics.median(recent) + evaluation)


def checkpoint_of(folder: RunFolder) -> tuple[str, int] | None:
    """Returns the stage of a run's last checkpoint, and how many of its steps are over; None without one."""
    names = sorted(path.stem for path in folder.checkpoints.glob("[0-9]*-*-*-*"))
    if not names:
        return None
    stage, step, _ = names[-1].partition("-")[2].rsplit("-", 2)
    return stage, int(step)
