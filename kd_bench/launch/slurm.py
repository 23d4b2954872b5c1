"""Checks that Slurm is available, waits for its jobs, and handles its signals inside a job.

Slurm's accounting is not needed: small clusters do not have it.
"""

import contextlib
import importlib.util
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from kd_bench.errors import ConfigError
from kd_bench.installation import ROOT
from kd_bench.launch.processes import ExitStatus, Outcome
from kd_bench.launch.signals import ask_to_leave, handling, heard
from kd_bench.messages import say, warn
from kd_bench.runs.command import COMMAND, PROCESS
from kd_bench.training.interruption import SIGNALS, Interrupted, signal_status

_PAUSE = 1.0
"""Seconds between two checks of the jobs' results."""
_CHECKS_PER_QUERY = 10
"""Checks of the results per query to Slurm. Queries are rare because Slurm serves many users."""
_LATE = 5.0
"""Seconds until other hosts can see a file that a job wrote."""


def require() -> None:
    """Raises `ConfigError` if jobs cannot be submitted from here."""
    if importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        raise ConfigError("hydra/launcher=slurm: it needs a Hydra plugin: pip install hydra-submitit-launcher.")
    for command in ("sbatch", "srun", "squeue", "scontrol"):
        if shutil.which(command) is None:
            raise ConfigError(
                f"hydra/launcher=slurm: there is no {command} here. Start the command on a host of a Slurm cluster, or "
                "choose hydra/launcher=joblib, which does not need Slurm."
            )


def exports() -> list[str]:
    """Returns the script lines that set the environment of a job, even if sbatch does not export any."""
    return [
        f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}",
        f"export {COMMAND}={os.environ[COMMAND]}",
        f"unset {PROCESS}",  # a job outlives the command that submitted it
        "export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}",  # srun does not inherit it from sbatch
    ]


def announce(jobs: Sequence[Any], overrides: Sequence[Sequence[str]]) -> None:
    """Prints the overrides and the log of each job, and the commands that show and end the jobs."""
    array = _array(jobs)
    for job, lines in zip(jobs, overrides, strict=True):
        say(f"job {job.job_id}: {' '.join(lines)}: {job.paths.stdout}")
    say(f"{len(jobs)} submitted to Slurm; squeue --jobs={array} shows them, scancel {array} ends them.")


def wait(jobs: Sequence[Any]) -> None:
    """Waits until each job has written a result, or has left Slurm without a result.

    Raises:
        Interrupted: the command was asked to stop. The jobs continue.
    """
    with _leaving_alone(_array(jobs)):
        waiting = list(jobs)
        for check in itertools.count(1):
            waiting = [job for job in waiting if not job.paths.result_pickle.exists()]
            if waiting and check % _CHECKS_PER_QUERY == 0:
                queued = _queued()
                waiting = [job for job in waiting if queued is None or job.job_id in queued]
            if not waiting:
                break
            time.sleep(_PAUSE)
        if not all(job.paths.result_pickle.exists() for job in jobs):
            time.sleep(_LATE)


def result(job: Any) -> JobReturn:
    """Returns the result of a job. If Slurm or an error ended the job, prints the file that may explain it."""
    from submitit.core.utils import pickle_load

    if job.paths.result_pickle.exists():
        _, returned = pickle_load(job.paths.result_pickle)
        if isinstance(returned, JobReturn) and returned.status is JobStatus.COMPLETED:
            return returned
    warn(f"error: job {job.job_id} ended without a result; {job.paths.stdout} may say why.")
    return JobReturn(status=JobStatus.COMPLETED, _return_value=Outcome(ExitStatus.FAILED))


@contextlib.contextmanager
def requeueing(requeue: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """In a job: on a signal, lets the run save, then queues the job again, unless Slurm ends or requeues the job.

    Slurm signals every process of a job; before a time limit or a pre-emption, the job can still run for a while.

    Args:
        requeue: the signal handler that queues the job again and exits.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        ask_to_leave(number)
        if _is_running(os.environ["SLURM_JOB_ID"]):
            requeue(number, frame)
        raise Interrupted(signal_status(number))

    with handling(leave, heard()):
        yield


@contextlib.contextmanager
def _leaving_alone(array: str) -> Iterator[None]:
    """On a signal, prints that the jobs continue and how to end them, then ends the command."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise Interrupted(signal_status(number))

    try:
        with handling(leave, heard()):
            yield
    except Interrupted:
        warn(
            f"\nInterrupted: the jobs continue. scancel {array} ends them; the same command waits for their runs and "
            "does what is left."
        )
        raise


def _array(jobs: Sequence[Any]) -> str:
    """Returns the common id of jobs that were submitted together."""
    return str(jobs[0].job_id).partition("_")[0]


def _queued() -> set[str] | None:
    """Returns the ids of this user's unfinished jobs; None if Slurm does not answer."""
    return _asked("--array", f"--user={os.getuid()}", "--format=%i")


def _is_running(job: str) -> bool:
    return _asked(f"--jobs={job}", "--format=%T") == {"RUNNING"}


def _asked(*options: str) -> set[str] | None:
    done = subprocess.run(["squeue", "--noheader", *options], capture_output=True, text=True)
    return None if done.returncode else set(done.stdout.split())
