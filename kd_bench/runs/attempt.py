"""One attempt at a run: where this process resumes, how long the run has taken, what it saves."""

import datetime
import time
from collections.abc import Sequence

import keras

from kd_bench.errors import DamageError
from kd_bench.messages import warn
from kd_bench.runs import environment
from kd_bench.runs.checkpoints import Checkpoint, Checkpoints, Position
from kd_bench.runs.files import read_file, storing, write_atomically
from kd_bench.runs.folder import RunFolder


class Attempt:
    """Resumes from the last checkpoint and restores the metrics of that moment.

    Attributes:
        checkpoint: the checkpoint from which it resumes; None at the start.
        attempts: all attempts up to this one, as in the record.
    """

    def __init__(self, folder: RunFolder, *, data: str, teacher: str, code: str) -> None:
        """Takes the facts that must not change during the run.

        Args:
            folder: the run's folder.
            data: the fingerprint of the images.
            teacher: the checksum of the teacher's network; empty without one.
            code: the fingerprint of the code.

        Raises:
            DamageError: the run began with other images.
        """
        self._folder = folder
        self._data, self._teacher, self._code = data, teacher, code
        self._checkpoints = Checkpoints(folder.checkpoints)
        self._started = time.perf_counter()
        self.checkpoint = self._latest()
        position = self.checkpoint.position if self.checkpoint else None
        self._earlier_seconds = position.seconds if position else 0.0
        self._earlier_training_seconds = position.training_seconds if position else 0.0
        self._training_ended: float | None = None
        self.attempts = [*(position.attempts if position else []), _new_entry(position)]
        self._restore_metrics(position)

    @property
    def seconds(self) -> float:
        """Seconds spent on the run in all attempts. Work that was lost by a kill does not count."""
        return self._earlier_seconds + time.perf_counter() - self._started

    @property
    def training_seconds(self) -> float:
        """The part of `seconds` that was spent in `train`."""
        end = self._training_ended or time.perf_counter()
        return self._earlier_training_seconds + end - self._training_started

    def begin_training(self) -> None:
        """Starts the clock of `training_seconds`."""
        self._training_started = time.perf_counter()

    def end_training(self) -> None:
        """Stops the clock of `training_seconds`."""
        self._training_ended = time.perf_counter()

    def save(self, stage: str, step: int, variables: Sequence[keras.Variable]) -> None:
        """Writes a checkpoint.

        Args:
            stage: the name of the current stage.
            step: the number of steps of this stage that are done.
            variables: all variables that training changes.

        Raises:
            StorageError: it cannot be written.
        """
        metrics = self._folder.metrics
        position = Position(
            stage=stage,
            step=step,
            seconds=self.seconds,
            training_seconds=self.training_seconds,
            metrics=metrics.read_text() if metrics.exists() else "",
            run=self._folder.path.name,
            data=self._data,
            teacher=self._teacher,
            code=self._code,
            attempts=self.attempts,
        )
        self._checkpoints.save(position, variables)

    def _latest(self) -> Checkpoint | None:
        """Returns the newest checkpoint; None if another run, teacher or code made it."""
        checkpoint = self._checkpoints.latest()
        reason = self._reason_to_start_over(checkpoint) if checkpoint else None
        if reason is None:
            return checkpoint
        warn(f"{self._folder}: {reason}; the run starts over.")
        self._checkpoints.delete()
        return None

    def _reason_to_start_over(self, checkpoint: Checkpoint) -> str | None:
        if checkpoint.position.run != self._folder.path.name:
            return "its checkpoints are those of another run"
        self._require_data(checkpoint)
        if checkpoint.position.teacher != self._teacher:
            return "its teacher was trained again"
        return None if checkpoint.position.code == self._code else "its code was changed"

    def _require_data(self, checkpoint: Checkpoint) -> None:
        if checkpoint.position.data != self._data:
            raise DamageError(
                f"{checkpoint.path}: this run began with other images (fingerprint {checkpoint.position.data}, now "
                f"{self._data}): see dataset.data_dir; or delete the folder {checkpoint.path.parent} to start over."
            )

    def _restore_metrics(self, position: Position | None) -> None:
        path = self._folder.metrics
        if position is None:
            with storing(path):
                path.unlink(missing_ok=True)
            return
        if path.exists() and not read_file(path).startswith(position.metrics.encode()):
            warn(f"{path}: was altered; it is written again from the checkpoint.")
        write_atomically(path, position.metrics)


def _new_entry(position: Position | None) -> dict[str, object]:
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    stage, step = (position.stage, position.step) if position else (None, 0)
    return {"began": began, "stage": stage, "step": step, **environment.git_revision()}
