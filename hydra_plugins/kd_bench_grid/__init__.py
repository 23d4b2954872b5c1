"""The sweeper `grid`, in the package where Hydra searches plugins. `kd_bench.launch.batches` chooses its jobs."""

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from kd_bench.config.compose import Job, sweep_jobs
from kd_bench.launch.batches import next_batch, still_to_do
from kd_bench.launch.processes import ExitStatus, Outcome
from kd_bench.launch.refusals import note


class Grid(Sweeper):
    """Launches every combination of values that is not done, with any launcher.

    Missing teachers are trained first, so that no job waits for one. If another command does a job's run, the job ends
    at once. It is launched again later if the run is still not done. In this way, copies of one command share the runs.
    """

    launcher: Launcher

    def __init__(self, params: dict[str, str]) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Stores the config and makes the launcher."""
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[JobReturn]:
        """Runs all jobs of these overrides; returns their results when no run is left."""
        jobs = still_to_do(sweep_jobs(self.config, arguments))
        returned: list[JobReturn] = []
        while batch := next_batch(jobs):
            results = self.launcher.launch([job.overrides for job in batch], initial_job_idx=len(returned))
            returned.extend(results)
            # Raises the error of a job that could not be started.
            outcomes = [result.return_value for result in results]
            _note_refused(batch, outcomes)
            jobs = still_to_do([*_held(batch, outcomes), *(job for job in jobs if job not in batch)])
        return returned


def _note_refused(batch: list[Job], outcomes: list[Outcome]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        if outcome.status == ExitStatus.REFUSED:
            note(job.run, outcome.reason)


def _held(batch: list[Job], outcomes: list[Outcome]) -> list[Job]:
    """Returns the jobs whose runs another command does."""
    return [job for job, outcome in zip(batch, outcomes, strict=True) if outcome.status == ExitStatus.HELD]
