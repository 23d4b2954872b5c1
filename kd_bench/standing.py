"""How far a run is, told from its folder alone. Imports no TensorFlow."""

from dataclasses import dataclass, replace

from kd_bench.config import TEACHER, RunConfig
from kd_bench.report import NETWORK_NAME
from kd_bench.runs.record import (
    CHECKPOINTS_NAME,
    DONE,
    FAILED,
    RECORD_NAME,
    Record,
    RecordError,
    altered_files,
    read_record,
)


@dataclass(frozen=True)
class Standing:
    """What a run's folder tells.

    Attributes:
        record: of a run that is over, done or failed; None if its record or what belongs to it is damaged, or if the
            run is to be done again.
        damage: a sentence for each file that cannot be used.
        resumable: whether the run has checkpoints.
        outdated: whether the run was done by other code.
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


NEW = Standing(None, [], resumable=False)
"""Of a run that nobody has begun."""


def standing(config: RunConfig) -> Standing:
    """Returns how far a run is.

    Raises:
        SchemaError: another version of this program wrote its record.
    """
    directory = config.directory
    resumable = any((directory / CHECKPOINTS_NAME).glob("*.npz"))
    if not (directory / RECORD_NAME).exists():
        return replace(NEW, resumable=resumable)
    try:
        record = read_record(directory / RECORD_NAME)
    except RecordError as problem:
        return Standing(None, [str(problem)], resumable)
    damage = _damage(config, record)
    outdated = record.status == DONE and record.setting.code != config.code
    return Standing(None if damage or (outdated and config.redo) else record, damage, resumable, outdated)


def _damage(config: RunConfig, record: Record) -> list[str]:
    directory = config.directory
    damage = [f"{path}: is not what the run wrote (its checksum differs)" for path in altered_files(directory, record)]
    if config.method.name == TEACHER and record.status == DONE:
        # Others need it; a student's may be deleted to save room.
        network = directory / NETWORK_NAME
        damage += [] if network.exists() else [f"{network}: is missing"]
    return damage
