"""One process per run: nothing that a run leaves in memory can affect the next run or slow it down.

A server process imports TensorFlow once and forks for every run, which takes milliseconds; it never runs an operation
itself, so that each run can choose its devices, threads and determinism. If a run crashes its process, or the system
kills it because memory is full, this run has failed, but the sweep continues.
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
"""The environment variable with the start time of the command, for all its processes on all machines."""


def begin_command() -> None:
    """Sets the start time of this command. All processes that it starts inherit it, also jobs of a scheduler."""
    os.environ.setdefault(BEGAN, str(time.time()))


def is_to_do(config: RunConfig) -> bool:
    """Returns whether a run is not done and has not failed since this command began. A command tries each run once."""
    folder = RunFolder(config.directory)
    state = folder.state(config)
    if state.failure is not None:
        return folder.record.stat().st_mtime < float(os.environ.get(BEGAN, "inf"))
    return state.done is None


def run(config: RunConfig, wait: bool = True) -> int:
    """Runs a run in its own process. If its teacher is not done, runs the teacher first, in another process.

    Args:
        config: the run's config.
        wait: whether to wait for another process that does this run or its teacher.

    Returns:
        0 if the run is done, 1 if it failed, 2 if its config or data are wrong, 3 if another process does it or its
        teacher.

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
    """Returns the context that starts runs; starts its server if none is running."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kd_bench.launch.preload"])
    # Python 3.11's server does not use sys.path. If it does not find the module, it silently preloads nothing.
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    # A scheduler signals every process of a job. The server and Python's resource tracker must stay alive until the
    # runs have saved and ended. A process that is started here inherits the ignored signals.
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
    """Records that the run's process died, unless another process is doing the run now."""
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
    # Imported here because the forked process already has TensorFlow: callers of `run` need not import it.
    from kd_bench import experiment

    for number in SIGNALS:  # active after `listening`: no signal may disturb the exit
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
    """Waits for the end of the command, then tells the run to save and end; kills it if a step takes too long."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process was started by `run`"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)
