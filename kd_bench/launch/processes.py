"""One process per run: nothing that a run leaves in memory can affect the next run or slow it down.

A server process imports TensorFlow once and forks for every run, which takes milliseconds; it never runs an operation
itself, so that each run can choose its devices, threads and determinism. If a run crashes its process, or the system
kills it because memory is full, this run has failed, but the sweep continues.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import NamedTuple

from filelock import Timeout

from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError, ConfigError, DataError
from kd_bench.launch.deaths import cause_of_death, server_died
from kd_bench.launch.signals import PATIENCE, handling, heard, listening
from kd_bench.messages import protect_streams, warn
from kd_bench.runs.command import command_id, command_process
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import write_record
from kd_bench.surroundings import surroundings
from kd_bench.training.interruption import SIGNALS, Interrupted, signal_status

DONE_STATUS, FAILED_STATUS, REFUSED_STATUS, HELD_STATUS = range(4)
_SMALL_FRACTION = 0.1
"""Below it, a class may be without images."""


def is_to_do(config: RunConfig) -> bool:
    """Returns whether a run is not done and has not failed under this command. A command tries each run once."""
    state = RunFolder(config.directory).state(config)
    return state.done is None and not (command_id() and state.failed_under == command_id())


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        status: 0 if the run is done, 1 if it failed, 2 if its config or data are wrong, 3 if another process does it or
            its teacher.
        reason: Why it was refused or failed; it was already printed.
    """

    status: int
    reason: str = ""


def run(config: RunConfig, wait: bool = True) -> int:
    """Returns the status of `run_after_teacher`."""
    return run_after_teacher(config, wait).status


def run_after_teacher(config: RunConfig, wait: bool = True) -> Outcome:
    """Runs a run in its own process. If its teacher is not done, runs the teacher first, in another process.

    Args:
        config: the run's config.
        wait: whether to wait for another process that does this run or its teacher.

    Raises:
        Interrupted: the run was asked to stop.
    """
    teacher = config.teacher_run()
    if teacher is not None and is_to_do(teacher):
        if _may_be_refused(config):
            outcome = _run_in_process(config, wait, only_build=True)
            if outcome.status == REFUSED_STATUS:
                return outcome
        outcome = _run_in_process(teacher, wait)
        if outcome.status in (REFUSED_STATUS, HELD_STATUS):
            return outcome
    if is_to_do(config):
        return _run_in_process(config, wait)
    return Outcome(DONE_STATUS if RunFolder(config.directory).state(config).done else FAILED_STATUS)


def _may_be_refused(config: RunConfig) -> bool:
    """Returns whether the run may be impossible although its config is right, so that it is built once to find out."""
    own_values = any(key.startswith(("method.", "model.", "dataset.", "batch_size")) for key in config.variant)
    return own_values or config.model.has_own_networks or config.fraction < _SMALL_FRACTION


def accuracy(config: RunConfig) -> float | None:
    """Returns the last accuracy of a run that is done, else None."""
    done = RunFolder(config.directory).state(config).done
    return done.scores.last_accuracy if done else None


def _server() -> ForkServerContext:
    """Returns the context that starts runs; starts its server if none is running."""
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


def _run_in_process(config: RunConfig, wait: bool, only_build: bool = False) -> Outcome:
    """Runs a run in its own process; or only builds its networks, to refuse it before its teacher is trained."""
    try:
        process, reader = _started(config, wait, only_build)
    except (EOFError, OSError) as problem:
        return _record_death(config, server_died(problem))
    process.join()
    status = process.exitcode
    assert status is not None, "it has ended"
    if status in map(signal_status, SIGNALS):
        raise Interrupted(status)
    if status in (DONE_STATUS, FAILED_STATUS, REFUSED_STATUS, HELD_STATUS):
        return Outcome(status, _received(reader))
    return _record_death(config, cause_of_death(status))


def _started(config: RunConfig, wait: bool, only_build: bool) -> tuple[BaseProcess, Connection]:
    """Starts the process of a run; returns it, and where it sends the reason if it fails.

    Raises:
        EOFError: the server died before it could fork.
        OSError: the server cannot be started or reached.
    """
    context = _server()
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(config, wait, only_build, heard(), writer))
    with writer, _script_hidden():
        process.start()
    return process, reader


def _received(reader: Connection) -> str:
    """Returns the reason that a process sent before it ended; empty if it sent none."""
    with reader, contextlib.suppress(EOFError):
        return str(reader.recv())
    return ""


def _record_death(config: RunConfig, reason: str) -> Outcome:
    """Records why the run's process died, unless another process is doing the run now."""
    folder = RunFolder(config.directory)
    try:
        with locked(folder, wait=False):
            if folder.state(config).record is None:
                write_record(folder.record, record_failure(config, reason))
    except Timeout:
        return Outcome(HELD_STATUS)
    reason = f"{config.title} failed: {reason}"
    warn(f"error: {reason}")
    return Outcome(FAILED_STATUS, reason)


def _child(
    config: RunConfig, wait: bool, only_build: bool, signals: Sequence[signal.Signals], reasons: Connection
) -> None:
    protect_streams()
    # Imported here because the forked process already has TensorFlow: callers of `run` need not import it.
    from kd_bench import execution
    from kd_bench.build import build

    for number in SIGNALS:  # active after `listening`: no signal may disturb the exit
        signal.signal(number, signal.SIG_IGN)
    with listening(signals) as interruption:
        for end in _ends():
            threading.Thread(target=_leave_after, args=(end,), daemon=True).start()
        try:
            if only_build:
                build(config, None)
            else:
                execution.run(config, interruption, wait)
        except Timeout as problem:
            raise SystemExit(HELD_STATUS) from problem
        except (ConfigError, DataError) as problem:
            raise SystemExit(_reported(f"{config.title}: {problem}", REFUSED_STATUS, reasons)) from problem
        except BenchError as problem:
            raise SystemExit(_reported(str(problem), FAILED_STATUS, reasons)) from problem
        except Exception as problem:
            if (reason := surroundings(problem)) is None:
                raise
            raise SystemExit(_reported(f"{config.title}: {reason}", FAILED_STATUS, reasons)) from problem


def _reported(reason: str, status: int, reasons: Connection) -> int:
    """Prints and sends the reason why a run ended with this status; returns the status."""
    warn(f"error: {reason}")
    with contextlib.suppress(BrokenPipeError):  # the command has ended, and nobody waits for the reason
        reasons.send(reason)
    return status


def _ends() -> list[Callable[[], object]]:
    """Returns what waits for the ends with which a run ends: of the process that started it, and of the command.

    With a parallel launcher, these are a worker and the process that the user started, which can be killed alone.
    """
    parent, command = multiprocessing.parent_process(), command_process()
    assert parent is not None, "this process was started by `run`"
    return [parent.join, *([] if command is None else [command.wait])]


def _leave_after(end: Callable[[], object]) -> None:
    """Waits, then makes this process save and end."""
    end()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)
