"""Lists the runs of a command line, as Hydra would start them, and checks all of them before the first one starts.

Hydra composes each job of a sweep only when it starts the job. Nothing here imports TensorFlow.
"""

import contextlib
import importlib.util
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

from kd_bench.checks import PositiveInt, check
from kd_bench.config import resolvers
from kd_bench.config.composer import Composer, composer
from kd_bench.config.library import containers
from kd_bench.config.overrides import SEARCH_PATH, ends, parsed, read_options, refuse_wrong_choices, values
from kd_bench.config.paths import expanded
from kd_bench.config.preset import with_preset
from kd_bench.config.schema import RunConfig
from kd_bench.config.search import config_dir
from kd_bench.errors import ConfigError
from kd_bench.installation import CONF

_NOT_SEARCHED = (
    *("method", "dataset", "model", "experiment"),
    *("fraction", "dataset_fraction", "seed", "subset_seed", "validation"),
)
"""The keys that define the task. A search by accuracy would choose the easiest task."""
_DATA_PATHS = ("root", "path", "data_dir", "manual_dir")
"""The parameters of data sets that are paths."""

resolvers.register()


class UnlistedSweepError(Exception):
    """The runs cannot be listed in advance, because the sweeper chooses them while it runs.

    Attributes:
        ends: runs at the ends of what is searched, by which the search was checked.
    """

    def __init__(self, ends: Sequence[RunConfig]) -> None:
        super().__init__()
        self.ends = ends


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
    """Returns the checked configs of all runs of the command line, each once: a teacher is the same at all fractions.

    Raises:
        ConfigError: a value of any run is wrong; the message names the first one.
        UnlistedSweepError: the runs cannot be listed in advance.
    """
    with composing(arguments) as (by, overrides):
        of_runs = [override for override in overrides if not override.is_hydra_override()]
        refuse_wrong_choices(of_runs, by.library.groups)
        hydra = _hydra(by, overrides)
        if hydra.mode != RunMode.MULTIRUN:
            return [by.run(_single(of_runs))]
        by.require_keys(of_runs)
        if is_search(hydra):
            raise UnlistedSweepError(_checked_ends(by, hydra, of_runs))
        sweep = _sweep(by, hydra.sweeper.params or {}, of_runs)
        return list({job.run.directory: job.run for job in sweep}.values())


def at_a_time(arguments: Sequence[str]) -> int:
    """Returns how many runs the launcher of the command line does at a time, at most."""
    with composing(arguments) as (by, overrides):
        hydra = _hydra(by, overrides)
    if hydra.mode != RunMode.MULTIRUN:
        return 1
    number = hydra.launcher.get("n_jobs", hydra.launcher.get("array_parallelism", 1))
    return number if number > 0 else max((os.cpu_count() or 1) + 1 + number, 1)  # -1 is all cores, -2 all but one


def is_search(hydra: DictConfig) -> bool:
    """Returns whether the sweeper chooses each run by the results of earlier runs."""
    return hydra.mode == RunMode.MULTIRUN and hydra.runtime.choices["hydra/sweeper"] not in ("grid", "basic")


def sweep_jobs(config: DictConfig, arguments: Sequence[str]) -> list[Job]:
    """Returns the jobs of the sweep that Hydra is about to start.

    Args:
        config: the config that Hydra gives to a sweeper. The arguments replace its `hydra.sweeper.params`.
        arguments: the overrides of the command line, without those of Hydra's keys.

    Raises:
        ConfigError: a value of any run is wrong; the message names the first one.
    """
    search = [line for line in config.hydra.overrides.hydra if line.startswith(SEARCH_PATH)]
    by = composer(config.hydra.job.config_name, search)
    return list(_sweep(by, config.hydra.sweeper.params or {}, parsed(arguments)))


@contextlib.contextmanager
def composing(arguments: Sequence[str]) -> Iterator[tuple[Composer, list[Override]]]:
    """Initialises Hydra while the body runs; yields a composer and the overrides of the command line, with its preset.

    Raises:
        ConfigError: an argument cannot be read, or no preset suits all data sets of a sweep.
    """
    options = read_options(with_preset(arguments))
    folder = Path(options.config_path or CONF)
    with config_dir(options.config_dir), initialize_config_dir(str(folder.resolve()), version_base="1.3"):
        mode = ["hydra.mode=MULTIRUN"] if options.multirun else ["hydra.mode=RUN"] if options.run else []
        overrides = parsed([*options.overrides, *mode])
        search = [str(override.input_line) for override in overrides if override.key_or_group == SEARCH_PATH]
        yield composer(options.config_name or "config", search[-1:]), overrides


def of_job(config: DictConfig) -> RunConfig:
    """Returns the checked config of the job that Hydra is running.

    Args:
        config: the config that Hydra composed for the job.

    Raises:
        ConfigError: a value is wrong; the message names the first one.
    """
    hydra = HydraConfig.get()
    search = [line for line in hydra.overrides.hydra if line.startswith(SEARCH_PATH)]
    with contextlib.chdir(hydra.runtime.cwd):  # With hydra.job.chdir=true, the job runs in another folder.
        run = composer(hydra.job.config_name, search).checked(containers(config), hydra.overrides.task)
    if hydra.runtime.choices["hydra/launcher"] != "basic":
        run = run.beside_others()
    return run if Path(hydra.runtime.cwd) == Path.cwd() else _with_paths_from(Path(hydra.runtime.cwd), run)


def _with_paths_from(folder: Path, run: RunConfig) -> RunConfig:
    """Returns the run with its relative paths made absolute: they are relative to the folder of the command."""
    given = run.dataset.parameters
    paths = {key: str(folder / expanded(f"dataset.{key}", given[key])) for key in _DATA_PATHS if given.get(key)}
    dataset = replace(run.dataset, parameters={**given, **paths})
    return replace(run, outputs=str(folder / run.outputs), dataset=dataset)


def _hydra(by: Composer, overrides: Sequence[Override]) -> DictConfig:
    """Returns the config of Hydra itself: mode, sweeper, launcher."""
    own = [override for override in overrides if override.is_hydra_override()]
    of_runs = [override for override in overrides if not override.is_hydra_override()]
    for override in own:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: keys of Hydra cannot be swept; give one value.")
    lines = [str(override.input_line) for override in own]
    composed = by.library.compose([*lines, *by.shared(of_runs)], with_hydra=True)
    if composed.hydra.launcher.get("n_jobs") == 0:
        raise ConfigError("hydra.launcher.n_jobs=0: must be at least 1, or -1 for all cores.")
    HydraConfig.instance().set_config(composed)  # for interpolations such as ${hydra:runtime.cwd}
    return composed.hydra


def _single(overrides: Sequence[Override]) -> list[str]:
    for override in overrides:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: several values make a sweep; add -m before them.")
    return [str(override.input_line) for override in overrides]


def _sweep(by: Composer, params: Mapping[str, str], arguments: Sequence[Override]) -> Iterator[Job]:
    """Yields a job for each combination of values. The command line replaces values of the config."""
    for overrides in itertools.product(*map(values, _by_key(params, arguments))):
        yield Job(overrides, by.run(overrides))


def _by_key(params: Mapping[str, str], arguments: Sequence[Override]) -> Iterable[Override]:
    """Returns the last override of each key. The command line replaces the sweeper's params."""
    in_config = parsed([f"{key}={value}" for key, value in params.items()])
    return {override.get_key_element(): override for override in (*in_config, *arguments)}.values()


def _checked_ends(by: Composer, hydra: DictConfig, arguments: Sequence[Override]) -> list[RunConfig]:
    """Checks a search before its first trial, as far as possible; returns the runs at the ends of what is searched."""
    _require_sweeper(hydra)
    overrides = list(_by_key(hydra.sweeper.get("params") or {}, arguments))
    searched = [override for override in overrides if override.is_sweep_override()]
    for override in searched:
        if override.key_or_group in _NOT_SEARCHED:
            raise ConfigError(f"{override.input_line}: a search would choose the easiest task; give one value.")
    runs = list(_at_the_ends(by, [ends(override) for override in overrides]))
    if not all(run.validation for run in runs):
        raise ConfigError("validation=0: a search would choose on the test set; write validation=0.1.")
    if not searched:
        raise ConfigError("there is nothing to search; write an interval, as in 'method.beta=interval(100,1000)'.")
    return runs


def _at_the_ends(by: Composer, lines: Sequence[Sequence[str]]) -> Iterator[RunConfig]:
    """Yields the checked run of each line, combined with the first line of every other override."""
    first = [line for line, *_ in lines]
    for place, several in enumerate(lines):
        for line in several:
            yield by.run([*first[:place], line, *first[place + 1 :]])


def _require_sweeper(hydra: DictConfig) -> None:
    """Raises ConfigError if the sweeper cannot search here, or if the search has no trials."""
    sweeper = hydra.runtime.choices["hydra/sweeper"]
    if sweeper == "optuna":
        raise ConfigError("hydra/sweeper=optuna: it minimises. Write hydra/sweeper=search, which maximises.")
    if sweeper == "search" and importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None:
        raise ConfigError("hydra/sweeper=search: it needs a Hydra plugin: pip install hydra-optuna-sweeper.")
    for key in ("n_trials", "n_jobs"):
        check(f"hydra.sweeper.{key}", hydra.sweeper.get(key, 1), PositiveInt)
