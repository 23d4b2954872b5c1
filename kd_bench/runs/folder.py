"""The folder of one run: the names of its files."""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from kd_bench.config.checksums import cached_checksum, file_checksum
from kd_bench.runs.files import make_folder, write_atomically
from kd_bench.runs.record import Record, RecordError, read_record

_CONFIG, _RECORD, _LOCK, _LOGS = "config.yaml", "result.json", ".lock", "logs"
_NAME = re.compile(r"seed=\d+-[0-9a-f]{16}")
"""The name of a run's folder. Earlier versions wrote eight digits of the digest."""
_CHECKPOINT = re.compile(r"[0-9]+-.+-[0-9]+-[0-9a-f]+\.safetensors")
"""The name of a checkpoint: its number, the stage, the step and the digest of its content."""
_MOST_PARTS, _LONGEST_PART = 20, 255
"""Of a run's folder: more folders inside each other, or longer names, cannot be made everywhere."""
_BEGUN = {_CONFIG, _LOCK}
"""A run without a record has at least one of these files. While its process reads the data, it has only the lock."""


class RunFolder:
    """The folder that a run writes to.

    Attributes:
        path: the folder's path.
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
        """The classes that the network predicts for the evaluation images, int32 `[N]`."""
        return self.path / "predictions.npy"

    @property
    def record(self) -> Path:
        """Written last: if it exists, the run is done or failed."""
        return self.path / _RECORD

    @property
    def bundled(self) -> Path:
        """A bundle of this run alone, if the run was put back from a bundle: it has the accuracies but no metrics."""
        return self.path / "bundled.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, which exists until the run is done."""
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        """The folder of what the config's callbacks write. The record has no checksums of these files."""
        return self.path / _LOGS

    @property
    def logged_epochs(self) -> Path:
        """The number of epochs that each callback has seen."""
        return self.logs / "epochs.json"

    @property
    def exports(self) -> Path:
        """The folder of the network in other formats. The record has no checksums of these files."""
        return self.path / "export"

    @property
    def lock(self) -> Path:
        """The lock: the process that does the run holds it."""
        return self.path / _LOCK

    @property
    def holder(self) -> Path:
        """Names the process that holds the lock."""
        return self.path / ".holder"

    def __str__(self) -> str:
        return str(self.path)

    def make(self) -> None:
        """Makes the folder if it is not there.

        Raises:
            StorageError: it cannot be made.
        """
        make_folder(self.path)

    def altered(self, record: Record) -> list[Path]:
        """Returns the files whose checksum differs from the record's. Missing files are not reported."""
        paths = {self.path / name: checksum for name, checksum in record.files.items()}
        return [path for path, checksum in paths.items() if path.is_file() and cached_checksum(path) != checksum]

    def checksums(self) -> dict[str, str]:
        """Returns the SHA-256 of each existing file of which the record keeps a checksum, by the file's name."""
        files = (self.metrics, self.network, self.predictions)
        return {path.name: file_checksum(path) for path in files if path.is_file()}

    def save_predictions(self, predictions: np.ndarray) -> None:
        """Writes the classes that the network predicts for the evaluation images, int `[N]`.

        Raises:
            StorageError: they cannot be written.
        """
        stream = io.BytesIO()
        np.save(stream, predictions.astype(np.int32), allow_pickle=False)
        write_atomically(self.predictions, stream.getvalue())

    def delete_if_unused(self, top: Path) -> None:
        """Deletes the folder if the run never started, so that it holds only a lock; then empty parents below `top`."""
        if {path.name for path in self.path.iterdir()} <= {self.lock.name, self.holder.name}:
            self.holder.unlink(missing_ok=True)
            self.lock.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a parent holds another run: it stays
                for folder in (self.path, *self.path.parents):
                    if folder == top:
                        break
                    folder.rmdir()


def checkpoint_paths(folder: Path) -> list[Path]:
    """Returns the checkpoints' files, oldest first. Files that a kill left half-written have other names."""
    return sorted(path for path in folder.glob("[0-9]*") if _CHECKPOINT.fullmatch(path.name))


def last_checkpoint(folder: Path) -> tuple[str, int] | None:
    """Returns the stage and the step of the last checkpoint in a folder, by its name; None without a checkpoint."""
    paths = checkpoint_paths(folder)
    if not paths:
        return None
    stage, step, _ = paths[-1].name.partition("-")[2].rsplit("-", 2)
    return stage, int(step)


def require_valid_folder(folder: str) -> None:
    """Raises `ValueError` if a run's folder is outside the outputs folder, or cannot be made on every system.

    Args:
        folder: relative to the outputs folder, with `/` between its parts, as anybody may have written it.
    """
    parts = PurePosixPath(folder).parts
    if not parts or parts[0] == "/" or ".." in parts or "\\" in folder or ":" in parts[0]:
        raise ValueError(f"has the folder {folder!r}, which is outside the outputs folder")
    if len(parts) > _MOST_PARTS or max(len(part.encode()) for part in parts) > _LONGEST_PART:
        raise ValueError(f"has the folder {folder[:_LONGEST_PART]!r}..., which no run has")


def read_folder_record(folder: RunFolder) -> Record:
    """Returns the record in a folder.

    Raises:
        RecordError: it is missing, truncated or altered, or the folder has the name of another run's, because somebody
            copied the record there.
        SchemaError: another version of this program wrote it.
    """
    record, name = read_record(folder.record), folder.path.name
    if _NAME.fullmatch(name) and name != f"seed={record.run.seed}-{record.run.digest}":
        raise RecordError(f"{folder.record}: is the record of another run ({record.title}); delete the copy")
    return record


def run_name(folder: str | Path) -> tuple[str, ...]:
    """Returns the end of a run's path, which contains its digest. It names the run in any outputs folder."""
    return Path(folder).parts[-3:]


def find_runs(outputs: Path, problems: list[str] | None = None) -> Iterator[tuple[RunFolder, bool]]:
    """Yields every run's folder below `outputs`, in order, and whether it holds a record.

    Symbolic links are followed, and no folder is visited twice.

    Args:
        outputs: the folder.
        problems: gets a message for each folder that cannot be read.
    """

    def report(problem: OSError) -> None:
        if problems is not None:
            problems.append(f"{problem.filename}: cannot be read ({problem.strerror}); its runs are left out")

    visited = set()
    for directory, subdirectories, files in os.walk(outputs, onerror=report, followlinks=True):
        status = os.stat(directory)  # noqa: PTH116 - a Path per folder would double the time
        inode = (status.st_dev, status.st_ino)
        if inode in visited:
            subdirectories.clear()
            continue
        visited.add(inode)
        has_record = _RECORD in files
        has_begun = not _BEGUN.isdisjoint(files)
        # Subdirectories of a finished run hold no runs. Hidden ones (.hydra) and logs may have their own config.yaml.
        if has_begun and _LOGS in subdirectories:
            subdirectories.remove(_LOGS)
        subdirectories[:] = [] if has_record else sorted(name for name in subdirectories if not name.startswith("."))
        if has_record or has_begun:
            yield RunFolder(Path(directory)), has_record
