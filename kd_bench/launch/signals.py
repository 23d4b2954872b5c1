"""Ctrl-C, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP: a run saves its state, then ends with status 128 + n, without a traceback.

Two kinds of processes: the one that the user started (`forwarding`), and those that train (`listening`). A scheduler
signals all of them at once.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

import psutil

from kd_bench.training.interruption import SIGNALS, Interrupted, Interruption, signal_status

PATIENCE = 60.0
"""Seconds in which the training processes must save and exit. Slurm and others kill slower processes anyway."""


def heard() -> list[signal.Signals]:
    """Returns the signals that this process and its runs heed: all but those that `nohup` has made it ignore."""
    return [one for one in SIGNALS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]


@contextlib.contextmanager
def listening(signals: Sequence[signal.Signals]) -> Iterator[Interruption]:
    """Stores signals while the body, a run, executes. The run decides when to end."""
    interruption = Interruption()
    with handling(interruption.handle, signals):
        yield interruption


@contextlib.contextmanager
def forwarding() -> Iterator[None]:
    """Forwards a signal to the processes that train, waits for them, and exits; a second signal exits at once."""
    heeded = heard()

    def forward(number: int, frame: FrameType | None) -> None:
        for one in heeded:
            signal.signal(one, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), b"\nInterrupted: runs save their state; the same command continues.\n")
        ask_to_leave(number)
        raise Interrupted(signal_status(number))

    with handling(forward, heeded):
        yield


def ask_to_leave(number: int) -> None:
    """Signals the processes that train and waits for them."""
    training = [process for process in psutil.Process().children(recursive=True) if _trains(process)]
    for process in training:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    psutil.wait_procs(training, timeout=PATIENCE)


def _trains(process: psutil.Process) -> bool:
    """Returns whether the server of `processes` forked this process. Launchers' workers are not forked by it."""
    try:
        pair = (process, process.parent())
        return all(one is not None and "forkserver" in " ".join(one.cmdline()) for one in pair)
    except psutil.Error:  # it has ended
        return False


@contextlib.contextmanager
def handling(handler: object, signals: Sequence[signal.Signals]) -> Iterator[None]:
    """Sets a handler of `signal.signal` for signals while the body runs. Only the main thread can have one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
