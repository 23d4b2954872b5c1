"""One process's go at a run: where it starts from, how long it has taken, what it saves."""

import datetime
import sys
import time
from pathlib import Path

from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import DamageError
from kd_bench.runs import environment
from kd_bench.runs.files import storing, write_atomically
from kd_bench.runs.metrics import METRICS_NAME
from kd_bench.training.checkpoints import Checkpoint, Checkpoints, Position


class Session:
    """Begins where the last checkpoint stands, with the metrics as they were there.

    Attributes:
        checkpoint: where it begins; None at the start.
        sessions: those up to this one, as in the record.
    """

    def __init__(self, directory: Path, teacher: str, code: str) -> None:
        """Takes the run's directory, the checksum of its teacher's network, empty if it has none, and of its code."""
        self._directory = directory
        self._teacher = teacher
        self._code = code
        self._checkpoints = Checkpoints(directory)
        self._started = time.perf_counter()
        self.checkpoint = self._latest()
        position = self.checkpoint.position if self.checkpoint else None
        self._spent = position.seconds if position else 0.0
        self._trained = position.training_seconds if position else 0.0
        self._training_ended: float | None = None
        self._data = ""
        self.sessions = [*(position.sessions if position else []), _session(position)]
        self._restore_metrics(position)

    @property
    def seconds(self) -> float:
        """What the run has taken so far, in all its sessions, but for what a kill threw away."""
        return self._spent + time.perf_counter() - self._started

    @property
    def training_seconds(self) -> float:
        """What of it went into `train`."""
        return self._trained + (self._training_ended or time.perf_counter()) - self._training_started

    def begin_training(self) -> None:
        """Starts the clock of `training_seconds`."""
        self._training_started = time.perf_counter()

    def end_training(self) -> None:
        """Stops it."""
        self._training_ended = time.perf_counter()

    def require_data(self, fingerprint: str) -> None:
        """Notes the images' fingerprint; raises `DamageError` if the run began with others."""
        self._data = fingerprint
        if self.checkpoint and self.checkpoint.position.data != fingerprint:
            raise DamageError(
                f"{self.checkpoint.path}: this run began with other images (fingerprint "
                f"{self.checkpoint.position.data}, now {fingerprint}): see dataset.data_dir; or delete the folder "
                f"{self.checkpoint.path.parent} to start over."
            )

    def save(self, stage: Stage, distiller: Distiller, step: int) -> None:
        """Writes a checkpoint."""
        metrics = self._directory / METRICS_NAME
        written = metrics.read_text() if metrics.exists() else ""
        position = Position(
            stage=stage.name,
            step=step,
            seconds=self.seconds,
            training_seconds=self.training_seconds,
            metrics=written,
            data=self._data,
            teacher=self._teacher,
            code=self._code,
            sessions=self.sessions,
        )
        self._checkpoints.save(position, distiller.state)

    def _latest(self) -> Checkpoint | None:
        """Returns the newest checkpoint; none if it was made with another teacher or code: a run has one of each."""
        checkpoint = self._checkpoints.latest()
        if checkpoint is None:
            return None
        if checkpoint.position.teacher != self._teacher:
            reason = "its teacher was trained again"
        elif checkpoint.position.code != self._code:
            reason = "its code was changed"
        else:
            return checkpoint
        print(f"{self._directory}: {reason}; the run starts over.", file=sys.stderr, flush=True)
        self._checkpoints.delete()
        return None

    def _restore_metrics(self, position: Position | None) -> None:
        path = self._directory / METRICS_NAME
        if position is None:
            with storing(path):
                path.unlink(missing_ok=True)
            return
        if path.exists() and not path.read_bytes().startswith(position.metrics.encode()):
            print(f"{path}: was altered; it is written again from the checkpoint.", file=sys.stderr, flush=True)
        write_atomically(path, position.metrics)


def _session(position: Position | None) -> dict[str, object]:
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    stage, step = (position.stage, position.step) if position else (None, 0)
    return {"began": began, "stage": stage, "step": step, **environment.git_revision()}
