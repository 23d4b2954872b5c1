"""How far a run's training is, and how fast, by what it has written so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kd_bench.config import MAIN_STAGE
from kd_bench.runs.folder import RunFolder

_RECENT = 10
"""Epochs, or as many as lie between two evaluations, whose mean is the pace."""


@dataclass(frozen=True)
class Progress:
    """How far a run's training is.

    Attributes:
        stage: the current one.
        epoch: of the stage; so many are over.
        epochs: the stage's length.
        over: epochs of all stages so far.
        left: epochs of this stage and of the main stage.
        seconds: of an epoch of this stage, with its part of evaluations and checkpoints.
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
    return Progress(stage, epoch, length, len(lines), left, _pace(lines, stage, max(_RECENT, evaluate_every)))


def _pace(lines: Sequence[Mapping[str, Any]], stage: str, recent: int) -> float:
    """Returns the seconds of an epoch of the stage; the first one, which traces, counts if there is no other."""
    elapsed = [line["elapsed_seconds"] for line in lines if line["stage"] == stage][-recent - 1 :]
    if len(elapsed) == 1:
        return lines[-1]["seconds"]
    return (elapsed[-1] - elapsed[0]) / (len(elapsed) - 1)


def checkpoint_of(folder: RunFolder) -> tuple[str, int] | None:
    """Returns the stage of a run's last checkpoint, and how many of its steps are over; None without one."""
    names = sorted(path.stem for path in folder.checkpoints.glob("[0-9]*-*-*-*"))
    if not names:
        return None
    stage, step, _ = names[-1].partition("-")[2].rsplit("-", 2)
    return stage, int(step)
