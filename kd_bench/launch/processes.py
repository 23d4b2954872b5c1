"""One process per run: nothing that a run leaves in memory can affect the next run or slow it down.

If a run crashes its process, or the system kills it because memory is full, this run has failed, but the sweep
continues.
"""

import contextlib
import signal
from collections.abc import Sequence
from enum import IntEnum
from multiprocessing.connection import Connection
from typing import NamedTuple

from filelock import Timeout

from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError, ConfigError, DataError
from kd_bench.launch import server
from kd_bench.launch.deaths import cause_of_death, server_died
from kd_bench.launch.signals import heard, listening
from kd_bench.messages import protect_streams, warn
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import write_record
from kd_bench.runs.standing import read_standing
from kd_bench.system_errors import system_error
from kd_bench.training.interruption import SIGNALS, Interrupted, signal_status


class ExitStatus(IntEnum):
    """How a run's process ends: the run is done, failed, or refused, or another process does it or its teacher."""

    DONE, FAILED, REFUSED, HELD = range(4)


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        status: with which its process ended.
        reason: Why it was refused or failed; it was already printed.
    """

    status: ExitStatus
    reason: str = ""


def run(config: RunConfig, wait: bool = True) -> Outcome:
    """Runs a run in its own process. If its teacher is not done, runs the teacher first, in another process.

    Args:
        config: the run's config.
        wait: whether to wait for another process that does this run or its teacher.

    Raises:
        Interrupted: the run was asked to stop.
    """
    teacher = config.teacher_run()
    if teacher is not None and read_standing(teacher).is_to_do:
        outcome = _run_in_process(teacher, wait)
        if outcome.status in (ExitStatus.REFUSED, ExitStatus.HELD):
            return outcome
    standing = read_standing(config)
    if standing.is_to_do:
        return _run_in_process(config, wait)
    return Outcome(ExitStatus.DONE if standing.done else ExitStatus.FAILED)


def accuracy(config: RunConfig) -> float | None:
    """Returns the last accuracy of a run that is done, else None."""
    done = read_standing(config).done
    return done.scores.last_accuracy if done else None


def _run_in_process(config: RunConfig, wait: bool) -> Outcome:
    try:
        process, reader = server.start(_child, config, wait, heard())
    except (EOFError, OSError) as problem:
        return _record_death(config, server_died(problem))
    process.join()
    status = process.exitcode
    assert status is not None, "it has ended"
    if status in map(signal_status, SIGNALS):
        raise Interrupted(status)
    if status in list(ExitStatus):
        return Outcome(ExitStatus(status), _received(reader))
    return _record_death(config, cause_of_death(status))


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
            if read_standing(config).record is None:
                write_record(folder.record, record_failure(config, reason))
    except Timeout:
        return Outcome(ExitStatus.HELD)
    reason = f"{config.title} failed: {reason}"
    warn(f"error: {reason}")
    return Outcome(ExitStatus.FAILED, reason)


def _child(config: RunConfig, wait: bool, signals: Sequence[signal.Signals], reasons: Connection) -> None:
    protect_streams()
    # Imported here because the forked process already has TensorFlow: callers of `run` need not import it.
    from kd_bench import execution

    for number in SIGNALS:  # active after `listening`: no signal may disturb the exit
        signal.signal(number, signal.SIG_IGN)
    with listening(signals) as interruption:
        server.end_with_command()
        try:
            execution.run(config, interruption, wait)
        except Timeout as problem:
            raise SystemExit(ExitStatus.HELD) from problem
        except (ConfigError, DataError) as problem:
            raise SystemExit(_reported(f"{config.title}: {problem}", ExitStatus.REFUSED, reasons)) from problem
        except BenchError as problem:
            raise SystemExit(_reported(str(problem), ExitStatus.FAILED, reasons)) from problem
        except Exception as problem:
            if (reason := system_error(problem)) is None:
                raise
            raise SystemExit(_reported(f"{config.title}: {reason}", ExitStatus.FAILED, reasons)) from problem


def _reported(reason: str, status: ExitStatus, reasons: Connection) -> ExitStatus:
    """Prints and sends the reason why a run ended with this status; returns the status."""
    warn(f"error: {reason}")
    with contextlib.suppress(BrokenPipeError):  # the command has ended, and nobody waits for the reason
        reasons.send(reason)
    return status
