"""A run that is done: its folder and its record."""

from dataclasses import dataclass

from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import Record


@dataclass(frozen=True)
class FinishedRun:
    """A run that is done, with the network that it trained, or evaluated if its teacher is in a file."""

    folder: RunFolder
    record: Record

    @property
    def checksum(self) -> str:
        """The SHA-256 of its network."""
        return self.record.files[self.folder.network.name]
