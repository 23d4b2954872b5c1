"""Chooses the next jobs of a sweep. Several copies of one command may run at the same time."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from kd_bench.config.compose import Job
from kd_bench.config.schema import RunConfig
from kd_bench.messages import say
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import is_held
from kd_bench.runs.standing import read_standing

_PAUSE = 2.0
"""Seconds between two checks of the runs of other commands."""


def still_to_do(jobs: Iterable[Job]) -> list[Job]:
    """Returns the jobs whose runs are not done and have not failed since this command began."""
    return [job for job in jobs if read_standing(job.run).is_to_do]


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
        missing = {job.run.directory: teacher for job in jobs if (teacher := _missing_teacher(job.run))}
        free = [job for job in jobs if not _is_held(job.run.directory, missing.get(job.run.directory))]
        if free:
            return _teachers_first(free, missing)
        if not waited:
            say(f"Other commands are doing the remaining runs ({len(jobs)}); waiting.")
            waited = True
        time.sleep(_PAUSE)
        jobs = still_to_do(jobs)
    return []


def _missing_teacher(run: RunConfig) -> Path | None:
    """Returns the folder of a run's teacher, if that is to do."""
    teacher = run.teacher_run()
    return teacher.directory if teacher is not None and read_standing(teacher).is_to_do else None


def _is_held(*folders: Path | None) -> bool:
    return any(is_held(RunFolder(folder)) for folder in folders if folder is not None)


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
