"""Slurm: whether it is there, how a command waits for its jobs, and what a job does when Slurm signals it.

None of this needs Slurm's accounting, which small clusters do not have.
"""

import contextlib
import importlib.util
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from kd_bench.errors import ConfigError
from kd_bench.launch.processes import BEGAN, FAILED_STATUS
from kd_bench.launch.signals import ask_to_leave, handling
from kd_bench.training.interruption import SIGNALS, Interrupted, signal_status

_ROOT = Path(__file__).resolve().parents[2]
_PAUSE = 1.0
"""Seconds between two checks of the jobs' results."""
_LOOKS_PER_QUESTION = 10
"""Checks of the results per query to Slurm, which serves many users."""
_LATE = 5.0
"""Seconds until a file that a job wrote is visible on other hosts."""


def require() -> None:
    """Raises `ConfigError` if jobs cannot be submitted from here."""
    if importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        raise ConfigError("hydra/launcher=slurm: needs a plugin of Hydra: pip install hydra-submitit-launcher.")
    for command in ("sbatch", "srun", "squeue", "scontrol"):
        if shutil.which(command) is None:
            raise ConfigError(
                f"hydra/launcher=slurm: there is no {command} here. Start the command on a host of a Slurm cluster, or "
                "choose hydra/launcher=joblib, which needs none."
            )


def exports() -> list[str]:
    """Returns the script lines that set what a job must inherit, even if sbatch passes on no environment."""
    return [
        f"export PYTHONPATH={shlex.quote(str(_ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}",
        f"export {BEGAN}={os.environ[BEGAN]}",
        "export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}",  # which srun does not take from sbatch by itself
    ]


def announce(jobs: Sequence[Any], overrides: Sequence[Sequence[str]]) -> None:
    """Prints each job with what it runs and its log, and how to look at the jobs and end them."""
    array = _array(jobs)
    for job, lines in zip(jobs, overrides, strict=True):
        print(f"job {job.job_id}: {' '.join(lines)}: {job.paths.stdout}")
    print(f"{len(jobs)} submitted to Slurm; squeue --jobs={array} shows them, scancel {array} ends them.", flush=True)


def wait(jobs: Sequence[Any]) -> None:
    """Waits until each job has left a result, or has gone from Slurm without one.

    Raises:
        Interrupted: the command was asked to stop. The jobs go on.
    """
    with _leaving_alone(_array(jobs)):
        waiting = list(jobs)
        for look in itertools.count(1):
            waiting = [job for job in waiting if not job.paths.result_pickle.exists()]
            if waiting and look % _LOOKS_PER_QUESTION == 0:
                queued = _queued()
                waiting = [job for job in waiting if queued is None or job.job_id in queued]
            if not waiting:
                break
            time.sleep(_PAUSE)
        if not all(job.paths.result_pickle.exists() for job in jobs):
            time.sleep(_LATE)


def result(job: Any) -> JobReturn:
    """Returns what a job returned. If Slurm or an error ended the job, names the file that may explain it."""
    from submitit.core.utils import pickle_load

    if job.paths.result_pickle.exists():
        _, returned = pickle_load(job.paths.result_pickle)
        if isinstance(returned, JobReturn) and returned.status is JobStatus.COMPLETED:
            return returned
    problem = f"error: job {job.job_id} did not come to its end; {job.paths.stdout} may say why."
    print(problem, file=sys.stderr, flush=True)
    return JobReturn(status=JobStatus.COMPLETED, _return_value=FAILED_STATUS)


@contextlib.contextmanager
def requeueing(requeue: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """In a job: lets its run save on a signal, then queues the job again, unless Slurm is ending or requeueing it.

    Slurm signals every process of a job; before a time limit or a pre-emption it leaves the job running for a while.

    Args:
        requeue: the handler of signals that queues the job again and exits.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        ask_to_leave(number)
        if _is_running(os.environ["SLURM_JOB_ID"]):
            requeue(number, frame)
        raise Interrupted(signal_status(number))

    with handling(leave):
        yield


@contextlib.contextmanager
def _leaving_alone(array: str) -> Iterator[None]:
    """On a signal, prints that the jobs go on and how to end them, and lets the command end."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise Interrupted(signal_status(number))

    try:
        with handling(leave):
            yield
    except Interrupted:
        print(
            f"\nInterrupted: the jobs go on. scancel {array} ends them; the same command waits for their runs and does "
            "what is left.",
            file=sys.stderr,
            flush=True,
        )
        raise


def _array(jobs: Sequence[Any]) -> str:
    """Returns the id that jobs submitted together share."""
    return str(jobs[0].job_id).partition("_")[0]


def _queued() -> set[str] | None:
    """Returns the ids of this user's jobs that are not over; None if Slurm does not answer."""
    return _asked("--array", f"--user={os.getuid()}", "--format=%i")


def _is_running(job: str) -> bool:
    return _asked(f"--jobs={job}", "--format=%T") == {"RUNNING"}


def _asked(*options: str) -> set[str] | None:
    done = subprocess.run(["squeue", "--noheader", *options], capture_output=True, text=True)
    return None if done.returncode else set(done.stdout.split())
