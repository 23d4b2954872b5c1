"""Chooses the next jobs of a sweep. Several copies of one command may run at the same time."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from kd_bench.config.compose import Job
from kd_bench.config.schema import RunConfig
from kd_bench.launch.processes import is_to_do
from kd_bench.messages import say
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import is_held

_PAUSE = 2.0
"""Seconds between two checks of the runs of other commands."""


def still_to_do(jobs: Iterable[Job]) -> list[Job]:
    """Returns the jobs whose runs are not done and have not failed since this command began."""
    return [job for job in jobs if is_to_do(job.run)]


def next_batch(jobs: Sequence[Job]) -> list[Job]:
    """Returns jobs that can be started together; waits until at least one can be started.

    Args:
        jobs: the jobs still to do.

    Returns:
        First one job per missing teacher, then all jobs without a missing teacher. Jobs are left out if another
        command does their run or their teacher. The list is empty if all runs are finished.
    """
    waited = False
    while jobs:
        missing = {job.run.directory: _missing_teacher(job.run) for job in jobs}
        free = [job for job in jobs if not any(map(_is_held, (job.run, missing[job.run.directory])))]
        if free:
            return _teachers_first(free, {path: run.directory for path, run in missing.items() if run is not None})
        if not waited:
            say(f"Other commands are doing the remaining runs ({len(jobs)}); waiting.")
            waited = True
        time.sleep(_PAUSE)
        jobs = still_to_do(jobs)
    return []


def _missing_teacher(run: RunConfig) -> RunConfig | None:
    teacher = run.teacher_run()
    return teacher if teacher is not None and is_to_do(teacher) else None


def _is_held(run: RunConfig | None) -> bool:
    return run is not None and is_held(RunFolder(run.directory))


def _teachers_first(jobs: Sequence[Job], missing: dict[Path, Path]) -> list[Job]:
    """Returns one job per missing teacher (if possible the teacher's own job), then all jobs without a missing teacher.

    Args:
        jobs: the jobs that can be started.
        missing: the folder of a run -> the folder of its missing teacher.
    """
    own = {job.run.directory: job for job in jobs if job.run.is_teacher}
    leaders: dict[Path, Job] = {}
    for job in jobs:
        if teacher := missing.get(job.run.directory):
            leaders.setdefault(teacher, own.get(teacher, job))
    others = [job for job in jobs if job.run.directory not in missing and job not in leaders.values()]
    return [*leaders.values(), *others]
