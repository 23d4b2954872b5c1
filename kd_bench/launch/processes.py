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

from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError, ConfigError, DataError
from kd_bench.launch.signals import listening
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import write_record
from kd_bench.training.interruption import SIGNALS, Interrupted, signal_status

FAILED_STATUS, REFUSED_STATUS = 1, 2
_BEGUN = time.time()


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kd_bench.launch.preload"])
    # Python 3.11's server looks for it on a path of its own, and where it finds nothing it preloads nothing.
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    return context


def run(config: RunConfig) -> int:
    """Runs the run in a process of its own, to the end; before it, in another one, its teacher if that is not done.

    Returns:
        0 if the run is done, 1 if it failed, 2 if it was refused, or minus the number of the signal that killed its
        process.

    Raises:
        Interrupted: the run was asked to stop.
    """
    teacher = config.teacher_run()
    if teacher is not None and _is_to_do(teacher):
        status = _run_in_process(teacher)
        if status == REFUSED_STATUS:
            return status
    return _run_in_process(config)


def _is_to_do(teacher: RunConfig) -> bool:
    """Returns whether a teacher is not done, nor failed since this command began: it is tried once per command."""
    folder = RunFolder(teacher.directory)
    state = folder.state(teacher)
    if state.failure is not None:
        return folder.record.stat().st_mtime < _BEGUN
    return state.done is None


def _run_in_process(config: RunConfig) -> int:
    process = _server().Process(target=_child, args=(config,))
    process.start()
    process.join()
    status = process.exitcode or 0
    if status in map(signal_status, SIGNALS):
        raise Interrupted(status)
    if status < 0:
        _record_death(config, signal.Signals(-status).name)
    return status


def _record_death(config: RunConfig, name: str) -> None:
    """Records that the run's process was killed, unless another one has taken it over by now."""
    reason = f"{name} ended its process; if nobody sent it, the machine was out of memory: try a smaller batch_size."
    folder = RunFolder(config.directory)
    with contextlib.suppress(Timeout), locked(folder, wait=False):
        if folder.state(config).record is None:
            write_record(folder.record, record_failure(config, reason))
    print(f"error: {config.title} failed: {reason}", file=sys.stderr, flush=True)


def _child(config: RunConfig) -> None:
    # Here, in the forked process, where it is there already: whoever calls `run` need not import TensorFlow.
    from kd_bench import experiment

    for number in SIGNALS:  # once it leaves, nothing shall disturb it any more
        signal.signal(number, signal.SIG_IGN)
    with listening() as interruption:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        try:
            experiment.run(config, interruption)
        except (ConfigError, DataError) as problem:
            print(f"error: {config.title}: {problem}", file=sys.stderr, flush=True)
            raise SystemExit(REFUSED_STATUS) from problem
        except BenchError as problem:
            print(f"error: {problem}", file=sys.stderr, flush=True)
            raise SystemExit(FAILED_STATUS) from problem


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process was started by `run`"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
