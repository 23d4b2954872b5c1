"""The folder of one run: the names of what it holds, and how far the run is."""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kd_bench.runs.files import sha256, storing, write_atomically
from kd_bench.runs.record import DONE, FAILED, Record, RecordError, read_record

if TYPE_CHECKING:  # Hydra, which it imports, is of no use to who reads finished runs.
    from kd_bench.config.schema import RunConfig

_CONFIG, _RECORD, _LOCK = "config.yaml", "result.json", ".lock"
_BEGUN = {_CONFIG, _LOCK}
"""Of a run without a record, one of these is there: the lock alone while its process reads the data."""


@dataclass(frozen=True)
class State:
    """How far a run is.

    Attributes:
        record: of a run that is over, done or failed; None if its record or what belongs to it is damaged, or if the
            run is to be done again.
        damage: one sentence per file that cannot be used.
        resumable: whether the run has checkpoints.
        outdated: whether other code did the run.
    """

    record: Record | None
    damage: list[str]
    resumable: bool
    outdated: bool = False

    @property
    def done(self) -> Record | None:
        """The record of a run that need not be run again."""
        return self.record if self.record is not None and self.record.status == DONE else None

    @property
    def failure(self) -> str | None:
        """Why the last attempt failed; None if it did not."""
        return self.record.reason if self.record is not None and self.record.status == FAILED else None


NEW = State(None, [], resumable=False)
"""Of a run that nobody has begun."""


class RunFolder:
    """The folder that a run writes to.

    Attributes:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> Path:
        """The run's config."""
        return self.path / _CONFIG

    @property
    def metrics(self) -> Path:
        """One line per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def network(self) -> Path:
        """The trained network: the student, without what its method added to it."""
        return self.path / "network.keras"

    @property
    def predictions(self) -> Path:
        """The network's classes of the images that it was evaluated on, int32 `[N]`."""
        return self.path / "predictions.npy"

    @property
    def record(self) -> Path:
        """Written last: its presence says that the run is over."""
        return self.path / _RECORD

    @property
    def checkpoints(self) -> Path:
        """A folder, there until the run is done."""
        return self.path / "checkpoints"

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the run."""
        return self.path / _LOCK

    @property
    def holder(self) -> Path:
        """Which process that is."""
        return self.path / ".holder"

    def __str__(self) -> str:
        return str(self.path)

    def make(self) -> None:
        """Makes the folder if it is not there.

        Raises:
            StorageError: it cannot be made.
        """
        with storing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def state(self, config: "RunConfig") -> State:
        """Returns how far the run of this config is.

        Raises:
            SchemaError: another version of this program wrote its record.
        """
        resumable = any(self.checkpoints.glob("[0-9]*"))
        if not self.record.exists():
            return replace(NEW, resumable=resumable)
        try:
            record = read_record(self.record)
        except RecordError as problem:
            return State(None, [str(problem)], resumable)
        damage = [f"{path}: is not what the run wrote (its checksum differs)" for path in self.altered(record)]
        if config.is_teacher and record.status == DONE and not self.network.exists():
            # Others need it; a student's may be deleted to save room.
            damage.append(f"{self.network}: is missing")
        outdated = record.status == DONE and record.setting.code != config.code
        return State(None if damage or (outdated and config.redo) else record, damage, resumable, outdated)

    def altered(self, record: Record) -> list[Path]:
        """Returns the files whose checksum differs from the record's. Missing files are not reported."""
        paths = {self.path / name: checksum for name, checksum in record.files.items()}
        return [path for path, checksum in paths.items() if path.is_file() and sha256(path) != checksum]

    def checksums(self) -> dict[str, str]:
        """Returns the SHA-256 of each file that a record vouches for, by its name, as far as they are there."""
        return {path.name: sha256(path) for path in (self.metrics, self.network, self.predictions) if path.is_file()}

    def save_predictions(self, predictions: np.ndarray) -> None:
        """Writes the classes of the images that the network was evaluated on, int `[N]`.

        Raises:
            StorageError: they cannot be written.
        """
        stream = io.BytesIO()
        np.save(stream, predictions.astype(np.int32), allow_pickle=False)
        write_atomically(self.predictions, stream.getvalue())

    def leave_nothing(self, top: Path) -> None:
        """Deletes the folder if it holds no more than the lock of a run never begun; then empty ones up to `top`."""
        if {path.name for path in self.path.iterdir()} <= {self.lock.name, self.holder.name}:
            self.holder.unlink(missing_ok=True)
            self.lock.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # another run's folder is in one of them
                for place in (self.path, *self.path.parents):
                    if place == top:
                        break
                    place.rmdir()


def run_name(folder: str | Path) -> tuple[str, ...]:
    """Returns what names a run in whatever outputs folder it lies: the end of its path, which holds its digest."""
    return Path(folder).parts[-3:]


def find_runs(outputs: Path) -> Iterator[tuple[RunFolder, bool]]:
    """Yields every run's folder below `outputs`, in order, and whether it holds a record.

    Symbolic links are followed, and no place is visited twice.
    """
    visited = set()
    for directory, subdirectories, files in os.walk(outputs, followlinks=True):
        status = os.stat(directory)  # noqa: PTH116 - a Path per folder would double the time
        place = (status.st_dev, status.st_ino)
        if place in visited:
            subdirectories.clear()
            continue
        visited.add(place)
        has_record = _RECORD in files
        # A finished run's own subdirectories hold no runs; hidden ones (.hydra) have a config.yaml of their own.
        subdirectories[:] = [] if has_record else sorted(name for name in subdirectories if not name.startswith("."))
        if has_record or not _BEGUN.isdisjoint(files):
            yield RunFolder(Path(directory)), has_record
