"""A sweep from its list of runs to its exit status, as the sweeper `grid` does it."""

from collections.abc import Callable, Sequence

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from kd_bench.config.compose import Job, at_a_time, distinct_runs, sweep_jobs
from kd_bench.launch.batches import next_batch, still_to_do
from kd_bench.launch.closing import close_runs
from kd_bench.launch.opening import open_runs
from kd_bench.launch.processes import ExitStatus
from kd_bench.launch.progress import showing_progress
from kd_bench.launch.refusals import Refused


def sweep(config: DictConfig, launcher: Callable[[], Launcher], arguments: Sequence[str]) -> None:
    """Does every combination of values that is not done. Ends the program with status 1 if some are not done then.

    Args:
        config: what Hydra composed for the sweep.
        launcher: makes the launcher of its jobs.
        arguments: the overrides of the command line, without those of Hydra's keys.

    Raises:
        BenchError: some runs cannot be done; none was started, and nothing is left on disk.
    """
    jobs = sweep_jobs(config, arguments)
    runs = distinct_runs(jobs)
    open_runs(config, runs, at_a_time(config.hydra.launcher))
    with showing_progress(runs):
        refused = launch(jobs, launcher())
    close_runs(runs, refused)


def launch(jobs: Sequence[Job], launcher: Launcher) -> list[Refused]:
    """Launches the jobs that are not done, batch by batch, until no run is left; returns those refused at their turn.

    Missing teachers are trained first, so that no job waits for one. If another command does a job's run, the job ends
    at once. It is launched again later if the run is still not done. In this way, copies of one command share the runs.
    """
    launched, refused = 0, list[Refused]()
    jobs = still_to_do(jobs)
    while batch := next_batch(jobs):
        results = launcher.launch([job.overrides for job in batch], initial_job_idx=launched)
        launched += len(results)
        # Raises the error of a job that could not be started.
        ended = [(job, result.return_value) for job, result in zip(batch, results, strict=True)]
        refused += [
            Refused(job.run, outcome.reason.removeprefix(f"{job.run.title}: "))
            for job, outcome in ended
            if outcome.status == ExitStatus.REFUSED
        ]
        held = [job for job, outcome in ended if outcome.status == ExitStatus.HELD]
        jobs = still_to_do([*held, *(job for job in jobs if job not in batch)])
    return refused
