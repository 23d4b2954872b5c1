"""The sweeper `search`, where Hydra looks for plugins: hydra-optuna-sweeper, set up for accuracies."""

import logging
import sys
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from kd_bench.messages import say, warn

# Hydra imports this module for every command: what needs the extra `search` is imported by those that use it.


class Search(Sweeper):
    """Lets Optuna ask for trials, and says which was the best. A trial that fails does not end the search."""

    def __init__(self, **options: Any) -> None:
        import optuna
        from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper

        for name in ("optuna", "hydra_plugins.hydra_optuna_sweeper"):  # runs report themselves
            logging.getLogger(name).setLevel(logging.ERROR)
        self._study: dict[str, Any] = {"study_name": "search", "storage": optuna.storages.InMemoryStorage()}
        for unused in ("search_space", "custom_search_space"):
            options[unused] = None
        self._optuna = OptunaSweeper(**options, **self._study, direction="maximize", max_failure_rate=1.0)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what Hydra gives to a sweeper."""
        self._config = config
        self._optuna.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        """Checks the search, then runs its trials; ends the program with status 1 if none of them is done."""
        import optuna

        from kd_bench.config.compose import search_ends
        from kd_bench.launch.first_builds import require_possible

        require_possible(search_ends(self._config, arguments))
        study = optuna.create_study(**self._study, direction="maximize")
        try:
            self._optuna.sweep(arguments)
        except ValueError:  # Optuna's, where there is no best trial
            if {trial.state for trial in study.trials} != {optuna.trial.TrialState.FAIL}:
                raise
            warn("error: no trial is done; the messages above say why.")
            sys.exit(1)
        best, failed = study.best_trial, sum(trial.value is None for trial in study.trials)
        values = " ".join(f"{key}={value}" for key, value in best.params.items())
        say(f"Best of {len(study.trials)} trials ({failed} failed): {best.value:.4f} with {values}")
