"""A process for each run: nothing that a run leaves in memory can reach the next one, or slow it down.

A server process imports TensorFlow once and forks for every run, which takes milliseconds; it never runs an operation
itself, so that each run chooses its own devices, threads and determinism. A run that crashes the process, or that the
system kills for its memory, is a failed run and not the end of a sweep.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

from filelock import Timeout

from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError, ConfigError, DataError
from kd_bench.launch.signals import PATIENCE, handling, listening
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import write_record
from kd_bench.training.interruption import SIGNALS, Interrupted, signal_status

DONE_STATUS, FAILED_STATUS, REFUSED_STATUS, HELD_STATUS = range(4)
BEGAN = "KD_BENCH_BEGAN"
"""The environment variable that tells all processes of one command, on whatever machine, when it began."""


def begin_command() -> None:
    """Notes when this command began, for all processes that it starts; a scheduler's job inherits the time."""
    os.environ.setdefault(BEGAN, str(time.time()))


def is_to_do(config: RunConfig) -> bool:
    """Returns whether a run is not done, nor failed since this command began: it is tried once per command."""
    folder = RunFolder(config.directory)
    state = folder.state(config)
    if state.failure is not None:
        return folder.record.stat().st_mtime < float(os.environ.get(BEGAN, "inf"))
    return state.done is None


def run(config: RunConfig, wait: bool = True) -> int:
    """Runs the run in a process of its own, to the end; before it, in another one, its teacher if that is not done.

    Args:
        config: of the run.
        wait: whether to wait for another process that does this run or its teacher.

    Returns:
        0 if the run is done, 1 if it failed, 2 if it was refused, 3 if another process does it or its teacher.

    Raises:
        Interrupted: the run was asked to stop.
    """
    teacher = config.teacher_run()
    if teacher is not None and is_to_do(teacher):
        status = _run_in_process(teacher, wait)
        if status in (REFUSED_STATUS, HELD_STATUS):
            return status
    if is_to_do(config):
        return _run_in_process(config, wait)
    return DONE_STATUS if RunFolder(config.directory).state(config).done else FAILED_STATUS


def accuracy(config: RunConfig) -> float | None:
    """Returns the last accuracy of a run that is done, else None."""
    done = RunFolder(config.directory).state(config).done
    return done.scores.last_accuracy if done else None


def _server() -> ForkServerContext:
    """Returns what starts runs; the server is started if it is not there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kd_bench.launch.preload"])
    # Python 3.11's server looks for it on a path of its own, and where it finds nothing it preloads nothing.
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    # A scheduler signals every process of a job. The server, and Python's resource tracker beside it, must stay until
    # the runs have saved and left. A program that is started now ignores what is ignored here.
    with handling(signal.SIG_IGN):
        forkserver.ensure_running()
    return context


def _run_in_process(config: RunConfig, wait: bool) -> int:
    process = _server().Process(target=_child, args=(config, wait))
    process.start()
    process.join()
    status = process.exitcode
    assert status is not None, "it has ended"
    if status in map(signal_status, SIGNALS):
        raise Interrupted(status)
    if status in (DONE_STATUS, FAILED_STATUS, REFUSED_STATUS, HELD_STATUS):
        return status
    return _record_death(config, status)


def _record_death(config: RunConfig, status: int) -> int:
    """Records that the run's process ended as no run does, unless a process does the run even now."""
    reason = f"its process ended with status {status}."
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        reason = (
            f"{name} ended its process; if nobody sent it, the machine was out of memory: try a smaller batch_size."
        )
    folder = RunFolder(config.directory)
    try:
        with locked(folder, wait=False):
            if folder.state(config).record is None:
                write_record(folder.record, record_failure(config, reason))
    except Timeout:
        return HELD_STATUS
    print(f"error: {config.title} failed: {reason}", file=sys.stderr, flush=True)
    return FAILED_STATUS


def _child(config: RunConfig, wait: bool) -> None:
    # Here, in the forked process, where it is there already: whoever calls `run` need not import TensorFlow.
    from kd_bench import experiment

    for number in SIGNALS:  # once it leaves, nothing shall disturb it any more
        signal.signal(number, signal.SIG_IGN)
    with listening() as interruption:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        try:
            experiment.run(config, interruption, wait)
        except Timeout as problem:
            raise SystemExit(HELD_STATUS) from problem
        except (ConfigError, DataError) as problem:
            print(f"error: {config.title}: {problem}", file=sys.stderr, flush=True)
            raise SystemExit(REFUSED_STATUS) from problem
        except BenchError as problem:
            print(f"error: {problem}", file=sys.stderr, flush=True)
            raise SystemExit(FAILED_STATUS) from problem


def _leave_with_parent() -> None:
    """Waits for the end of the command, then lets the run save and leave; a step that takes too long is cut off."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process was started by `run`"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)
