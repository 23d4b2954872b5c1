"""A process for each run: nothing that a run leaves in memory can reach the next one, or slow it down.

A server process imports TensorFlow once and forks for every run, which takes milliseconds; it never runs an operation
itself, so that each run chooses its own devices, threads and determinism. A run that crashes the process, or that the
system kills for its memory, is a failed run and not the end of a sweep.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from functools import cache
from multiprocessing.context import ForkServerContext

from filelock import Timeout

from kd_bench.config import RunConfig
from kd_bench.errors import BenchError
from kd_bench.interruption import SIGNALS, Interrupted, exit_status, listening
from kd_bench.locking import locked
from kd_bench.report import record_failure, title
from kd_bench.runs.record import write_record
from kd_bench.standing import standing

FAILED_STATUS, TEACHER_WANTED_STATUS = 1, 3
_BEGUN = time.time()


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kd_bench.preload"])
    return context


def run(config: RunConfig, since: float = _BEGUN) -> int:
    """Runs the run in a process of its own, to the end; before it its teacher, if it has to be trained.

    Args:
        config: of the run.
        since: when the command began, in seconds of Unix time: what failed after it is not tried again.

    Returns:
        0 if the run is done, 1 if it failed, or minus the number of the signal that killed its process.

    Raises:
        Interrupted: the run was asked to stop.
    """
    status = _run_once(config, since)
    if status != TEACHER_WANTED_STATUS:
        return status
    run(config.teacher_run(), since)
    return _run_once(config, since)


def _run_once(config: RunConfig, since: float) -> int:
    process = _server().Process(target=_child, args=(config, since))
    process.start()
    process.join()
    status = process.exitcode or 0
    if status in map(exit_status, SIGNALS):
        raise Interrupted(status)
    if status < 0:
        _record_death(config, signal.Signals(-status).name)
    return status


def _record_death(config: RunConfig, name: str) -> None:
    """Records that the run's process was killed, unless another one has taken it over by now."""
    reason = f"{name} ended its process; if nobody sent it, the machine was out of memory: try a smaller batch_size."
    with contextlib.suppress(Timeout), locked(config.directory, wait=False):
        if standing(config).record is None:
            write_record(config.directory, record_failure(config, reason))
    print(f"error: {title(config)} failed: {reason}", file=sys.stderr, flush=True)


def _child(config: RunConfig, since: float) -> None:
    # Here, in the forked process, where it is there already: whoever calls `run` need not import TensorFlow.
    from kd_bench import experiment

    for number in SIGNALS:  # once it leaves, nothing shall disturb it any more
        signal.signal(number, signal.SIG_IGN)
    with listening() as interruption:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        try:
            experiment.run(config, since, interruption)
        except experiment.TeacherWanted as wanted:
            raise SystemExit(TEACHER_WANTED_STATUS) from wanted
        except BenchError as problem:
            print(f"error: {problem}", file=sys.stderr, flush=True)
            raise SystemExit(FAILED_STATUS) from problem


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process was started by `run`"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
