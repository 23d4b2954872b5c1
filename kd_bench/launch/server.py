"""The server that forks processes: it imports TensorFlow once, so that a new process has it within milliseconds.

It never runs an operation itself, so that each process can choose its devices, threads and determinism.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from kd_bench.launch.signals import PATIENCE, handling
from kd_bench.runs.command import command_process
from kd_bench.training.interruption import SIGNALS


def start(target: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Starts a process; returns it and the connection from which to read what it sends.

    Args:
        target: a function of a module. It ignores `SIGNALS` until it handles them.
        *arguments: of the function, before a connection to write to.

    Raises:
        EOFError: the server died before it could fork.
        OSError: the server cannot be started or reached.
    """
    context = _server()
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*arguments, writer))
    with writer, _script_hidden():
        process.start()
    return process, reader


def end_with_command() -> None:
    """Makes this process save and end when the process that started it or the command ends.

    With a parallel launcher, these are a worker and the process that the user started, which can be killed alone.
    """
    parent, command = multiprocessing.parent_process(), command_process()
    assert parent is not None, "this process was started by `start`"
    for end in (parent.join, *([] if command is None else [command.wait])):
        threading.Thread(target=_leave_after, args=(end,), daemon=True).start()


def _server() -> ForkServerContext:
    """Returns the context that starts processes; starts its server if none is running."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kd_bench.launch.preload"])
    # A scheduler signals every process of a job. The server and Python's resource tracker must stay alive until the
    # runs have saved and ended. A process that is started here inherits the ignored signals.
    with handling(signal.SIG_IGN, SIGNALS), _import_path(), _script_hidden():
        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def _import_path() -> Iterator[None]:
    """Passes `sys.path` to the server. Python 3.11's does not use it, and preloads nothing if it finds no module."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


@contextlib.contextmanager
def _script_hidden() -> Iterator[None]:
    """Hides the user's script from `multiprocessing`, which otherwise executes it again in each new process."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _leave_after(end: Callable[[], object]) -> None:
    """Waits, then makes this process save and end."""
    end()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)
