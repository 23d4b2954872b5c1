"""Ctrl-C and SIGTERM: a run saves where it stands, then leaves with status 130 or 143 and no traceback.

Two kinds of processes: the one that the user started (`forwarding`), and those that train (`listening`).
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import psutil

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 60.0
"""Seconds that the training processes have to save and leave; Slurm and others kill what stays longer anyway."""


def exit_status(number: int) -> int:
    """Returns the status of a program that a signal ended, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + number


class Interrupted(SystemExit):
    """Someone asked the program to stop; no `Exception`, so that nothing takes it for a failure."""


class Interruption:
    """What was asked of a training process.

    Attributes:
        saving: whether someone will call `leave_if_asked` soon, having saved; else a signal ends the program at once.
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
            raise Interrupted(exit_status(self._number))

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Notes the signal; twice the same, one from the terminal and one forwarded, is once."""
        self._number = self._number or number
        if not self.saving:
            self.leave_if_asked()


@contextlib.contextmanager
def listening() -> Iterator[Interruption]:
    """Lets the body, a run, decide when to leave."""
    interruption = Interruption()
    with _handling(interruption.handle):
        yield interruption


@contextlib.contextmanager
def forwarding() -> Iterator[None]:
    """Hands a signal on to the processes that train, waits for them, and leaves; a second signal leaves at once."""

    def forward(number: int, frame: FrameType | None) -> None:
        for one in SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), b"\nInterrupted: runs save where they stand; the same command goes on.\n")
        _ask_to_leave(number)
        raise Interrupted(exit_status(number))

    with _handling(forward):
        yield


def _ask_to_leave(number: int) -> None:
    """Signals the processes that train and waits for them."""
    training = [process for process in psutil.Process().children(recursive=True) if _trains(process)]
    for process in training:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    psutil.wait_procs(training, timeout=_PATIENCE)


def _trains(process: psutil.Process) -> bool:
    """Whether it was forked by a server of `own_process`; launchers' workers and the like are no concern of ours."""
    try:
        pair = (process, process.parent())
        return all(one is not None and "forkserver" in " ".join(one.cmdline()) for one in pair)
    except psutil.Error:  # it has ended
        return False


@contextlib.contextmanager
def _handling(handler: object) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
