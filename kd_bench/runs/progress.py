"""How far a run's training is, and how fast, by what it has written so far."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kd_bench.config import MAIN_STAGE
from kd_bench.runs.folder import RunFolder

_RECENT = 5
"""Epochs whose median is the pace: tracing makes the first one long, and a resumed one may be a part."""


@dataclass(frozen=True)
class Progress:
    """How far a run's training is.

    Attributes:
        stage: the current one.
        epoch: of the stage; so many are over.
        epochs: the stage's length.
        over: epochs of all stages so far.
        left: epochs of this stage and of the main stage.
        seconds: of an epoch of this stage, with its part of the evaluations.
    """

    stage: str
    epoch: int
    epochs: int
    over: int
    left: int
    seconds: float

    @property
    def share(self) -> float:
        """How much of the training is over, in [0, 1]."""
        return self.over / (self.over + self.left)

    @property
    def seconds_left(self) -> float:
        """Until the end of the training, at the pace of this stage."""
        return self.left * self.seconds


def progress(lines: Sequence[Mapping[str, Any]], epochs: int, evaluate_every: int) -> Progress | None:
    """Returns how far a run is; None before the end of its first epoch, or if an earlier version wrote the lines.

    Args:
        lines: its metrics.
        epochs: its config's: the length of the main stage.
        evaluate_every: its config's.
    """
    if not lines or "epochs" not in lines[-1]:
        return None
    stage, epoch, length = (lines[-1][name] for name in ("stage", "epoch", "epochs"))
    left = length - epoch + (0 if stage == MAIN_STAGE else epochs)
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
