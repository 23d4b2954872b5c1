"""Requests to stop a training process: it saves a checkpoint and then exits."""

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
"""Ctrl-C, the signals of cluster schedulers before a time limit or a preemption, and that of a closed terminal."""


def signal_status(number: int) -> int:
    """Returns the exit status of a program that a signal ended, as in shells: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + number


class Interrupted(SystemExit):
    """The program was asked to stop. It is not an `Exception`, so that no code treats it as a failure."""


class Interruption:
    """Whether a training process was asked to stop.

    Attributes:
        saving: if true, the training loop saves a checkpoint and then exits; if false, a signal ends the process.
    """

    def __init__(self) -> None:
        self.saving = False
        self._number: int | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def exit_if_requested(self) -> None:
        """Raises `Interrupted` if a signal came."""
        if self._number is not None:
            raise Interrupted(signal_status(self._number))

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Stores the first signal. The same signal can come twice: from the terminal and forwarded."""
        self._number = self._number or number
        if not self.saving:
            self.exit_if_requested()
