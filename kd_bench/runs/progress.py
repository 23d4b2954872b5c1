"""The progress and the speed of a run's training, by its metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kd_bench.config import MAIN_STAGE

_RECENT = 10
"""The speed is the mean over this number of epochs, or over `evaluate_every` epochs if that is more."""


@dataclass(frozen=True)
class Progress:
    """The progress of a run's training.

    Attributes:
        stage: the current stage.
        epoch: the number of finished epochs of this stage.
        epochs: the number of epochs in this stage.
        finished: the number of finished epochs of all stages.
        left: the number of epochs left in this stage and in the main stage.
        seconds: seconds per epoch of this stage, including evaluations and checkpoints.
        accuracy: the last test accuracy, in [0, 1]; None before the first evaluation.
    """

    stage: str
    epoch: int
    epochs: int
    finished: int
    left: int
    seconds: float
    accuracy: float | None = None

    @property
    def share(self) -> float:
        """The finished share of the training, in [0, 1]."""
        return self.finished / (self.finished + self.left)

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f", {self.accuracy:.2%}"
        return f"{self.stage} {self.epoch}/{self.epochs}{accuracy}"

    @property
    def seconds_left(self) -> float:
        """Seconds until the end of the training, at the speed of this stage."""
        return self.left * self.seconds


def progress(lines: Sequence[Mapping[str, Any]], epochs: int, evaluate_every: int) -> Progress | None:
    """Returns the progress of a run; None before the end of its first epoch, or if an earlier version wrote the lines.

    It is also None for a run that has no epochs, because it only evaluates a teacher.

    Args:
        lines: the run's metrics.
        epochs: the length of the main stage, from the run's config.
        evaluate_every: epochs between two evaluations, from the run's config.
    """
    if not lines or not lines[-1].get("epochs"):
        return None
    stage, epoch, length = (lines[-1][name] for name in ("stage", "epoch", "epochs"))
    left = length - epoch + (0 if stage == MAIN_STAGE else epochs)
    accuracy = next((line["test_accuracy"] for line in reversed(lines) if "test_accuracy" in line), None)
    return Progress(
        stage, epoch, length, len(lines), left, _seconds_per_epoch(lines, stage, max(_RECENT, evaluate_every)), accuracy
    )


def _seconds_per_epoch(lines: Sequence[Mapping[str, Any]], stage: str, recent: int) -> float:
    """Returns the seconds per epoch of the stage. The first epoch includes tracing: it counts only if it is alone."""
    elapsed = [line["elapsed_seconds"] for line in lines if line["stage"] == stage][-recent - 1 :]
    if len(elapsed) == 1:
        return lines[-1]["seconds"]
    return (elapsed[-1] - elapsed[0]) / (len(elapsed) - 1)
