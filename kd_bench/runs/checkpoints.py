"""The saved state of a run. A checkpoint is written completely or not at all, and has a checksum. Two are kept.

A checkpoint is a safetensors file. Its name holds its number, the stage, the step and the digest of its content:
`000017-main-340-0f3c5a7e92b1d468.safetensors`.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors.numpy

from kd_bench.documents import read_json
from kd_bench.errors import DamageError
from kd_bench.messages import warn
from kd_bench.runs.files import read_file, storing, write_atomically
from kd_bench.runs.folder import checkpoint_paths, last_checkpoint
from kd_bench.typed import to_dataclass

_KEPT = 2
_DIGITS = 16
_SUFFIX = ".safetensors"
_POSITION = "position"


@dataclass(frozen=True)
class Position:
    """How far a run was, and what it depends on.

    Attributes:
        stage: the name of the current stage.
        step: the number of steps of this stage that are done.
        seconds: seconds spent on the run so far.
        training_seconds: the part of `seconds` that was spent in training.
        metrics: the content of its metrics file.
        run: the name of the run's folder, which ends in its digest.
        data: the fingerprint of the images.
        teacher: the checksum of the teacher's network; empty without one.
        code: the fingerprint of the code.
        attempts: as in the record.
    """

    stage: str
    step: int
    seconds: float
    training_seconds: float
    metrics: str
    run: str
    data: str
    teacher: str
    code: str
    attempts: list[dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A position, and the values that all variables had there, in order."""

    path: Path
    position: Position
    values: list[np.ndarray]

    def restore(self, variables: Sequence[keras.Variable]) -> None:
        """Assigns the values to the variables.

        Raises:
            DamageError: the shapes of the variables and of the values differ.
        """
        expected = [tuple(variable.shape) for variable in variables]
        stored = [value.shape for value in self.values]
        if expected != stored:
            raise DamageError(
                f"{self.path}: its {len(stored)} variables do not match the {len(expected)} of this run (another "
                f"network or method); delete the folder {self.path.parent} to start over."
            )
        for variable, value in zip(variables, self.values, strict=True):
            variable.assign(value)


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder of the checkpoints; it need not exist yet."""
        self._folder = folder

    def latest(self) -> Checkpoint | None:
        """Returns the newest undamaged checkpoint, None if there is none; prints which ones are damaged."""
        for path in reversed(self._paths()):
            try:
                return _read(path)
            except DamageError as problem:
                warn(f"{problem} An earlier checkpoint is used, or the run starts over.")
        return None

    def progress_text(self) -> str:
        """Returns in words how far the run has come by the name of its newest checkpoint."""
        found = last_checkpoint(self._folder)
        return "after stage {}, step {}".format(*found) if found else "before its first checkpoint"

    def save(self, position: Position, variables: Sequence[keras.Variable]) -> None:
        """Writes a checkpoint, then deletes all but the last two.

        Raises:
            StorageError: it cannot be written; the earlier checkpoints are kept.
        """
        content = _packed(position, [np.asarray(variable.numpy()) for variable in variables])
        earlier = self._paths()
        number = _number(earlier[-1]) + 1 if earlier else 1
        with storing(self._folder):
            self._folder.mkdir(exist_ok=True)
        write_atomically(
            self._folder / f"{number:06d}-{position.stage}-{position.step}-{_digest(content)}{_SUFFIX}", content
        )
        for path in earlier[: 1 - _KEPT]:
            path.unlink(missing_ok=True)

    def delete(self) -> None:
        """Deletes all checkpoints: the run is done, or starts over."""
        if self._folder.exists():
            with storing(self._folder):
                shutil.rmtree(self._folder)

    def _paths(self) -> list[Path]:
        """Returns the checkpoints' files, oldest first. Files that a kill left half-written have other names."""
        return checkpoint_paths(self._folder)


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _packed(position: Position, values: list[np.ndarray]) -> bytes:
    tensors = {f"{number:06d}": value for number, value in enumerate(values)}
    return safetensors.numpy.save(tensors, metadata={_POSITION: json.dumps(asdict(position))})


def _read(path: Path) -> Checkpoint:
    try:
        if _digest(read_file(path)) != path.stem.rpartition("-")[2]:
            raise ValueError("its checksum is not the one in its name")
        with safetensors.safe_open(path, framework="numpy") as file:
            position = to_dataclass(Position, read_json(file.metadata()[_POSITION]))
            return Checkpoint(path, position, [file.get_tensor(name) for name in sorted(file.keys())])
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as problem:
        raise DamageError(f"{path}: is damaged: {problem}.") from problem


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]
