"""The checked runs of a command: of a single run, of a sweep, at the ends of a search. Nothing here imports TensorFlow.

Hydra composes each job of a sweep only when it starts the job.
"""

import contextlib
import importlib.util
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from kd_bench.checks import PositiveInt, check
from kd_bench.config import resolvers
from kd_bench.config.command_line import read
from kd_bench.config.composer import Composer, composer, containers
from kd_bench.config.explanations import explaining, refuse_sweeps
from kd_bench.config.overrides import ends, parsed, values
from kd_bench.config.paths import expanded
from kd_bench.config.schema import RunConfig
from kd_bench.config.search_path import finding_configs
from kd_bench.errors import ConfigError
from kd_bench.installation import CONF

GRID, SEARCH = "grid", "search"
"""The two sweepers that there are: `hydra/sweeper=grid` and `hydra/sweeper=search`."""

_NOT_SEARCHED = (
    *("method", "dataset", "model", "experiment"),
    *("fraction", "dataset_fraction", "seed", "subset_seed", "validation"),
)
"""The keys that define the task. A search by accuracy would choose the easiest task."""
_DATA_PATHS = ("root", "path", "data_dir", "manual_dir")
"""The parameters of data sets that are paths."""
_REFUSED_SWEEPERS = {
    "basic": "it repeats what is done. Write hydra/sweeper=grid, which does what is missing.",
    "optuna": "it minimises. Write hydra/sweeper=search, which maximises.",
}

resolvers.register()


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        overrides: in the format of Hydra's launchers, such as `method=at`.
        run: the checked config with these overrides.
    """

    overrides: tuple[str, ...]
    run: RunConfig


def jobs(arguments: Sequence[str]) -> list[RunConfig]:
    """Returns the checked runs of a command line without starting it, each once; of a search, those at its ends.

    Raises:
        ConfigError: a value of any run is wrong; the message names the first one.
    """
    options = read(arguments)
    folder = Path(options.config_path or CONF).resolve()
    with (
        explaining(options),
        finding_configs(options.config_dir),
        initialize_config_dir(str(folder), version_base="1.3"),
    ):
        overrides = parsed(options.overrides)
        mode = ["hydra.mode=MULTIRUN"] if options.multirun else []
        fixed = [str(one.input_line) for one in overrides if not one.is_sweep_override()]
        config = compose(options.config_name or "config", [*fixed, *mode], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        refuse_sweeps(overrides, multirun=config.hydra.mode == RunMode.MULTIRUN)
        if config.hydra.mode != RunMode.MULTIRUN:
            return [run_of(config)]
        of_task = [str(one.input_line) for one in overrides if not one.is_hydra_override()]
        require_sweeper(config.hydra)
        if is_search(config.hydra):
            return search_ends(config, of_task)
        return distinct_runs(sweep_jobs(config, of_task))


def run_of(config: DictConfig) -> RunConfig:
    """Returns the checked config of a run that Hydra is about to start, or is doing.

    Args:
        config: what Hydra composed for the run, perhaps with its own config.

    Raises:
        ConfigError: a value is wrong; the message names the first one.
    """
    hydra = HydraConfig.get()
    composed = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    folder = Path(hydra.runtime.cwd)
    with contextlib.chdir(folder):  # With hydra.job.chdir=true, the job runs in another folder.
        run = composer(hydra).checked(containers(composed), hydra.overrides.task)
    if hydra.runtime.choices["hydra/launcher"] != "basic":
        run = run.beside_others()
    return run if folder == Path.cwd() else _with_paths_from(folder, run)


def sweep_jobs(config: DictConfig, arguments: Sequence[str]) -> list[Job]:
    """Returns the jobs of a sweep: one for each combination of values.

    Args:
        config: what Hydra gives to a sweeper. The arguments replace its `hydra.sweeper.params`.
        arguments: the overrides of the command line, without those of Hydra's keys.

    Raises:
        ConfigError: a value of any run is wrong; the message names the first one.
    """
    runs = composer(config.hydra)
    combinations = itertools.product(*map(values, _by_key(config.hydra.sweeper.params, arguments)))
    return [Job(overrides, runs.run(overrides)) for overrides in combinations]


def distinct_runs(jobs: Iterable[Job]) -> list[RunConfig]:
    """Returns the runs of jobs, each once: a teacher is the same at all fractions."""
    return list({job.run.directory: job.run for job in jobs}.values())


def at_a_time(launcher: Mapping[str, Any]) -> int:
    """Returns how many runs a launcher does at a time, at most.

    Args:
        launcher: its config.

    Raises:
        ConfigError: it would do none.
    """
    number = launcher.get("n_jobs", launcher.get("array_parallelism", 1))
    if number == 0:
        raise ConfigError("hydra.launcher.n_jobs=0: must be at least 1, or -1 for all cores.")
    return number if number > 0 else max((os.cpu_count() or 1) + 1 + number, 1)  # -1 is all cores, -2 all but one


def is_search(hydra: HydraConf) -> bool:
    """Returns whether the sweeper chooses each run by the results of earlier runs."""
    return hydra.mode == RunMode.MULTIRUN and hydra.runtime.choices["hydra/sweeper"] != GRID


def require_sweeper(hydra: HydraConf) -> None:
    """Raises `ConfigError` if the sweeper is none for runs, or if it is not installed."""
    sweeper = hydra.runtime.choices["hydra/sweeper"]
    if reason := _REFUSED_SWEEPERS.get(sweeper):
        raise ConfigError(f"hydra/sweeper={sweeper}: {reason}")
    if sweeper == SEARCH and importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None:
        raise ConfigError("hydra/sweeper=search: it needs a Hydra plugin: pip install hydra-optuna-sweeper.")


def search_ends(config: DictConfig, arguments: Sequence[str]) -> list[RunConfig]:
    """Checks a search before its first trial, as far as possible; returns the runs at the ends of what is searched.

    Args:
        config: what Hydra gives to a sweeper. The arguments replace its `hydra.sweeper.params`.
        arguments: the overrides of the command line, without those of Hydra's keys.

    Raises:
        ConfigError: a value is wrong, or the search would mislead.
    """
    for key in ("n_trials", "n_jobs"):
        check(f"hydra.sweeper.{key}", config.hydra.sweeper.get(key, 1), PositiveInt)
    overrides = list(_by_key(config.hydra.sweeper.get("params"), arguments))
    searched = [override for override in overrides if override.is_sweep_override()]
    for override in searched:
        if override.key_or_group in _NOT_SEARCHED:
            raise ConfigError(f"{override.input_line}: a search would choose the easiest task; give one value.")
    runs = list(_at_the_ends(composer(config.hydra), [ends(override) for override in overrides]))
    if not all(run.validation for run in runs):
        raise ConfigError("validation=0: a search would choose on the test set; write validation=0.1.")
    if not searched:
        raise ConfigError("there is nothing to search; write an interval, as in 'method.beta=interval(100,1000)'.")
    return runs


def _at_the_ends(composer: Composer, lines: Sequence[Sequence[str]]) -> Iterator[RunConfig]:
    """Yields the checked run of each line, combined with the first line of every other override."""
    first = [line for line, *_ in lines]
    for index, several in enumerate(lines):
        for line in several:
            yield composer.run([*first[:index], line, *first[index + 1 :]])


def _by_key(params: Mapping[str, str] | None, arguments: Sequence[str]) -> Iterable[Override]:
    """Returns the last override of each key. The command line replaces the sweeper's params."""
    lines = [*(f"{key}={value}" for key, value in (params or {}).items()), *arguments]
    return {override.get_key_element(): override for override in parsed(lines)}.values()


def _with_paths_from(folder: Path, run: RunConfig) -> RunConfig:
    """Returns the run with its relative paths made absolute: they are relative to the folder of the command."""
    given = run.dataset.parameters
    paths = {key: str(folder / expanded(f"dataset.{key}", given[key])) for key in _DATA_PATHS if given.get(key)}
    dataset = replace(run.dataset, parameters={**given, **paths})
    return replace(run, outputs=str(folder / run.outputs), dataset=dataset)
