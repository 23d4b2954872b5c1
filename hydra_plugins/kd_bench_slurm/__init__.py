"""The launcher `slurm`, where Hydra looks for plugins: hydra-submitit-launcher, for runs that save and resume."""

import contextlib
import io
import signal
from collections.abc import Sequence
from dataclasses import fields
from itertools import repeat
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from kd_bench.errors import ConfigError
from kd_bench.launch import slurm
from kd_bench.launch.refusals import refusing

# Hydra imports this module for every command: what needs the extra `slurm` is imported by those that use it.


class Slurm(Launcher):
    """Submits an array of jobs, says where they are, and waits for them without Slurm's accounting."""

    def __init__(self, **params: Any) -> None:
        with refusing():
            slurm.require()
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

        self.runner = SlurmLauncher(**params)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what Hydra gives to a launcher."""
        self.runner.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submits a job for each set of overrides, and returns what they returned."""
        with refusing():
            jobs = self._submitted(job_overrides, initial_job_idx)
        slurm.announce(jobs, job_overrides)
        slurm.wait(jobs)
        return [slurm.result(job) for job in jobs]

    def _submitted(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[Any]:
        from submitit.core.utils import FailedJobError

        numbers = range(first, first + len(job_overrides))
        each = (map(list, job_overrides), repeat("hydra.sweep.dir"), numbers, map(str, numbers))
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # submitit prints what it raises
                return self._executor().map_array(self, *each, repeat(Singleton.get_state()))
        except (FailedJobError, NameError, AssertionError) as problem:  # Slurm's refusal, and submitit's own
            raise ConfigError(f"hydra/launcher=slurm: {problem}") from problem

    def _executor(self) -> Any:
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
        from submitit import AutoExecutor

        parameters = dict(self.runner.params)
        parameters["setup"] = [*parameters["setup"], *slurm.exports()]
        folder, limit = parameters.pop("submitit_folder"), parameters.pop("max_num_timeout")
        executor = AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=limit)
        general = {field.name for field in fields(BaseQueueConf)}
        executor.update_parameters(
            **{key if key in general else f"slurm_{key}": value for key, value in parameters.items()}
        )
        return executor

    def __call__(self, *arguments: Any) -> JobReturn:
        """Runs in the job: a signal lets the run save and, unless Slurm ends the job, queues the job again."""
        from submitit.core.job_environment import JobEnvironment

        requeue = signal.getsignal(signal.Signals[f"SIG{JobEnvironment.USR_SIG}"])  # as submitit has set it
        assert callable(requeue), "submitit handles this signal"
        with slurm.requeueing(requeue):
            return self.runner(*arguments)

    def checkpoint(self, *arguments: Any) -> Any:
        """Returns what the job does when it is queued again: the same, since runs know where they stand."""
        from submitit.core.utils import DelayedSubmission

        return DelayedSubmission(self, *arguments)
