"""What a training process was asked: to save where it stands, and then to leave."""

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Ctrl-C, and what cluster schedulers send before a time limit or a pre-emption."""


def signal_status(number: int) -> int:
    """Returns the status of a program that a signal ended, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + number


class Interrupted(SystemExit):
    """Someone asked the program to stop; no `Exception`, so that nothing takes it for a failure."""


class Interruption:
    """What was asked of a training process.

    Attributes:
        saving: whether a training loop will save a checkpoint and then exit; if not, a signal ends the process at once.
    """

    def __init__(self) -> None:
        self.saving = False
        self._number: int | None = None

    @property
    def asked(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def leave_if_asked(self) -> None:
        """Raises `Interrupted` if a signal came."""
        if self._number is not None:
            raise Interrupted(signal_status(self._number))

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Notes the signal; twice the same, one from the terminal and one forwarded, is once."""
        self._number = self._number or number
        if not self.saving:
            self.leave_if_asked()
