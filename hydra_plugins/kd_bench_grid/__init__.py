"""The sweeper `grid`, where Hydra looks for plugins. `kd_bench.launch.grid` says what it does."""

from functools import partial

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# Hydra imports this module in every program that uses Hydra: what a sweep needs is imported by the sweep.


class Grid(Sweeper):
    """Does every combination of values that is not done, with any launcher."""

    def __init__(self, params: dict[str, str]) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Stores the config, and how to make the launcher: a list of the runs needs none."""
        self.config = config
        self.launcher = partial(
            Plugins.instance().instantiate_launcher,
            hydra_context=hydra_context,
            task_function=task_function,
            config=config,
        )

    def sweep(self, arguments: list[str]) -> None:
        """Does the runs of these overrides."""
        from kd_bench.launch import grid

        grid.sweep(self.config, self.launcher, arguments)
