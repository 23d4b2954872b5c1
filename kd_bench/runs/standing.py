"""The standing of a run, read from its folder: for the run itself, its command, the bars of a sweep and the status."""

import contextlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from kd_bench.checks import Count, Label, NonNegativeInt, PositiveInt, Printable, Share
from kd_bench.config import identity, title
from kd_bench.documents import read_yaml
from kd_bench.errors import DamageError
from kd_bench.runs.command import command_id
from kd_bench.runs.files import read_file
from kd_bench.runs.folder import RunFolder, last_checkpoint, read_folder_record
from kd_bench.runs.lock import Holder, holder, is_held
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.progress import Progress, progress
from kd_bench.runs.record import DONE, FAILED, Record, RecordError, SchemaError, read_record
from kd_bench.typed import to_dataclass

if TYPE_CHECKING:  # It imports Hydra, which is not needed to look at runs.
    from kd_bench.config.schema import RunConfig


class State(IntEnum):
    """What a run's folder says of the run. Of several folders of one run, the one with the first state counts.

    A run that is refused leaves no folder, and is new.
    """

    DONE, RUNNING, FAILED, INTERRUPTED, DAMAGED, NEW = range(6)


@dataclass(frozen=True)
class _Named:
    name: Label


@dataclass(frozen=True)
class StoredConfig:
    """The entries of a run's `config.yaml` that describe the run."""

    dataset: dict[str, Any]
    method: dict[str, Any]
    fraction: Share
    seed: NonNegativeInt
    epochs: Count
    evaluate_every: PositiveInt
    variant: Annotated[dict[str, Any], Printable()] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for component in (self.dataset, self.method):
            to_dataclass(_Named, component, ignore_unknown=True)

    @property
    def title(self) -> str:
        """A short description of the run, for messages."""
        return title(self.dataset["name"], self.method["name"], self.fraction, self.seed, self.variant)


@dataclass(frozen=True)
class Standing:
    """How far a run is. What takes time to find out is read when it is first asked for, and then kept.

    Attributes:
        folder: the run's folder.
        config: the run's config; None if only its folder is known.
        record: the record of a run that is done or failed; None if the record or a file of the run is damaged, if it is
            of another run, or if the run must be repeated.
        damage: one sentence per file that cannot be used.
        outdated: whether the run was made by other code.
    """

    folder: RunFolder
    config: "RunConfig | None" = None
    record: Record | None = None
    damage: list[str] = field(default_factory=list)
    outdated: bool = False

    @property
    def done(self) -> Record | None:
        """The record of a run that is done; None if the run must be done or repeated."""
        return self.record if self.record is not None and self.record.status == DONE else None

    @property
    def failure(self) -> str | None:
        """Why the last attempt failed; None if it did not fail."""
        return self.record.reason if self.record is not None and self.record.status == FAILED else None

    @property
    def is_to_do(self) -> bool:
        """Whether the run is not done and has not failed under this command. A command tries each run once."""
        if self.record is None or self.done is not None or not command_id():
            return self.done is None
        attempts = self.record.setting.attempts
        return not attempts or attempts[-1].get("command") != command_id()

    @property
    def remarks(self) -> dict[str, bool]:
        """What is to say of a run that is to do -> whether it holds."""
        return {
            "from a checkpoint": self.checkpoint is not None,
            "failed before": self.failure is not None,
            "damaged": bool(self.damage),
            "made by other code": self.outdated,
        }

    @cached_property
    def state(self) -> State:
        """The state of the run.

        Raises:
            OSError: the lock of the run cannot be read.
            StorageError: the file system has no locks.
        """
        if self.done is not None:
            return State.DONE
        if is_held(self.folder):
            return State.RUNNING
        if self.failure is not None:
            return State.FAILED
        if self.damage:
            return State.DAMAGED
        return State.INTERRUPTED if self.folder.config.exists() or self.folder.lock.exists() else State.NEW

    @cached_property
    def holder(self) -> Holder | None:
        """The process that does the run, or the last one that did; None if that is not known."""
        return holder(self.folder)

    @cached_property
    def checkpoint(self) -> tuple[str, int] | None:
        """The stage from which the run can go on, and the steps done in it; None without a checkpoint."""
        return last_checkpoint(self.folder.checkpoints)

    @property
    def title(self) -> str:
        """A short description of the run; its folder, if the run has not written its config yet.

        Raises:
            DamageError: the file with its config is not what the run wrote.
        """
        if described := self.config or self.record:
            return described.title
        stored, holder_title = self._stored, self.holder.title if self.holder else ""
        return holder_title or (stored.title if stored else str(self.folder))

    @cached_property
    def progress(self) -> Progress | None:
        """The progress of an unfinished run by its metrics; None before the end of its first epoch.

        Raises:
            DamageError: the file with its config or its metrics is not what the run wrote.
        """
        config = self.config or self._stored
        if config is None:
            return None
        return progress(read_metrics(self.folder.metrics), config.epochs, config.evaluate_every)

    @cached_property
    def kept_progress(self) -> Progress | None:
        """The progress that no attempt has to repeat; None if the run starts over, or its metrics cannot be read."""
        with contextlib.suppress(OSError, DamageError):  # being written, or damaged: the run reports it
            return self.progress if self.folder.checkpoints.exists() else None
        return None

    @property
    def share(self) -> float:
        """The share of the training that is finished and that no attempt has to repeat, in [0, 1]."""
        return self.kept_progress.share if self.kept_progress else 0.0

    @cached_property
    def _stored(self) -> StoredConfig | None:
        path = self.folder.config
        if not path.exists():
            return None
        try:
            return to_dataclass(StoredConfig, read_yaml(read_file(path)), ignore_unknown=True)
        except OSError as problem:
            raise DamageError(f"{path}: cannot be read ({problem.strerror})") from problem
        except ValueError as problem:
            raise DamageError(f"{path}: is damaged ({problem}); the same command writes it again") from problem


def read_standing(config: "RunConfig") -> Standing:
    """Returns the standing of the run with this config. Verifies the checksums of the files of a run that has ended.

    Raises:
        SchemaError: another version of this program wrote its record.
    """
    folder = RunFolder(config.directory)
    if not folder.record.exists():
        return Standing(folder, config)
    try:
        record = read_record(folder.record)
    except RecordError as problem:
        return Standing(folder, config, damage=[str(problem)])
    if not _belongs_to(record, config):
        another = f"{folder.record}: is the record of another run ({record.title})"
        return Standing(folder, config, damage=[another])
    damage = _damage(folder, config, record)
    outdated = record.status == DONE and record.setting.code != config.code
    usable = None if damage or (outdated and config.redo) else record
    return Standing(folder, config, usable, damage, outdated)


def find_standing(folder: RunFolder) -> Standing:
    """Returns the standing of the run in a folder, which anybody may have made. Verifies only the record.

    Raises:
        OSError: the record or the lock cannot be read.
        StorageError: the file system has no locks.
    """
    standing = _recorded(folder)
    if standing.state is State.INTERRUPTED and folder.record.exists():  # the run has ended since
        return _recorded(folder)
    return standing


def _recorded(folder: RunFolder) -> Standing:
    try:
        return Standing(folder, record=read_folder_record(folder) if folder.record.exists() else None)
    except (RecordError, SchemaError) as problem:
        return Standing(folder, damage=[str(problem)])


def _belongs_to(record: Record, config: "RunConfig") -> bool:
    """Returns whether a record is of the run with this config, and not of one whose folder was copied."""
    same = identity.canonical(record.config) == identity.canonical(config.facts())
    return same and record.run.digest == config.digest


def _damage(folder: RunFolder, config: "RunConfig", record: Record) -> list[str]:
    """Returns a sentence for each file of a run that is not what the run wrote, or that is missing."""
    damage = [f"{path}: is not what the run wrote (its checksum differs)" for path in folder.altered(record)]
    if config.is_teacher and record.status == DONE and not folder.network.exists():
        # Students need it. A student's own network may be deleted to save space.
        damage.append(f"{folder.network}: is missing")
    return damage
