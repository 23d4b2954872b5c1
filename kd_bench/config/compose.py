"""Lists the runs that a command line asks for, as Hydra would start them, and checks them all before one starts.

Hydra composes a sweep's jobs one by one as it comes to them. Nothing here imports TensorFlow.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from kd_bench.config.composer import Composer, composer
from kd_bench.config.library import containers
from kd_bench.config.overrides import SEARCH_PATH, parsed, read_options, refuse_wrong_choices, values
from kd_bench.config.schema import RunConfig
from kd_bench.config.search import config_dir
from kd_bench.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"

OmegaConf.register_new_resolver("home", lambda path: str(Path(path).expanduser()), replace=True)


class UnlistedSweepError(Exception):
    """A sweeper that searches chooses the runs while it runs: they cannot be listed before."""


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        overrides: as Hydra's launchers take them, such as `method=at`.
        run: the checked config that they describe.
    """

    overrides: tuple[str, ...]
    run: RunConfig


def jobs(arguments: Sequence[str]) -> list[RunConfig]:
    """Returns the checked configs of all runs that the command line asks for: one, or a sweep's.

    Raises:
        ConfigError: at the first value that is wrong, in any of the runs.
        UnlistedSweepError: the runs are not known beforehand.
    """
    with composing(arguments) as (by, overrides):
        of_runs = [override for override in overrides if not override.is_hydra_override()]
        refuse_wrong_choices(of_runs, by.library.groups)
        hydra = _hydra(by, [override for override in overrides if override.is_hydra_override()], of_runs)
        if hydra.mode != RunMode.MULTIRUN:
            return [by.run(_single(of_runs))]
        if hydra.runtime.choices["hydra/sweeper"] not in ("grid", "basic"):
            raise UnlistedSweepError
        by.require_keys(of_runs)
        return [job.run for job in _sweep(by, hydra.sweeper.params or {}, of_runs)]


def sweep_jobs(config: DictConfig, arguments: Sequence[str]) -> list[Job]:
    """Returns the jobs of the sweep that Hydra is about to start.

    Args:
        config: as Hydra gives it to a sweeper; its `hydra.sweeper.params` come before the arguments.
        arguments: the overrides of the command line without Hydra's own.

    Raises:
        ConfigError: at the first value that is wrong, in any of the runs.
    """
    search = [line for line in config.hydra.overrides.hydra if line.startswith(SEARCH_PATH)]
    by = composer(config.hydra.job.config_name, search)
    return list(_sweep(by, config.hydra.sweeper.params or {}, parsed(arguments)))


@contextlib.contextmanager
def composing(arguments: Sequence[str]) -> Iterator[tuple[Composer, list[Override]]]:
    """Initialises Hydra while the body composes what a command line asks for; yields its overrides, too.

    Raises:
        ConfigError: an argument cannot be read.
    """
    options = read_options(arguments)
    folder = CONF.parent / (options.config_path or CONF)
    with config_dir(options.config_dir), initialize_config_dir(str(folder.resolve()), version_base="1.3"):
        mode = ["hydra.mode=MULTIRUN"] if options.multirun else ["hydra.mode=RUN"] if options.run else []
        overrides = parsed([*options.overrides, *mode])
        search = [str(override.input_line) for override in overrides if override.key_or_group == SEARCH_PATH]
        yield composer(options.config_name or "config", search[-1:]), overrides


def of_job(config: DictConfig) -> RunConfig:
    """Returns the checked config of the job that Hydra is running, from what Hydra composed for it.

    Raises:
        ConfigError: at the first value that is wrong.
    """
    hydra = HydraConfig.get()
    search = [line for line in hydra.overrides.hydra if line.startswith(SEARCH_PATH)]
    run = composer(hydra.job.config_name, search).checked(containers(config), hydra.overrides.task)
    if hydra.runtime.choices["hydra/launcher"] != "basic":
        run = run.beside_others()
    if Path(hydra.runtime.cwd) == Path.cwd():
        return run
    # With hydra.job.chdir=true the job is in another folder than the one where the command was started.
    return replace(run, outputs=str(Path(hydra.runtime.cwd, run.outputs)))


def _hydra(by: Composer, own: Sequence[Override], of_runs: Sequence[Override]) -> DictConfig:
    """Returns Hydra's own config: mode, sweeper, launcher."""
    for override in own:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: a key of Hydra's own takes one value.")
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
    """Yields every combination of values. Of several overrides of a key the last one counts: the command line's."""
    in_config = parsed([f"{key}={value}" for key, value in params.items()])
    lines = {override.get_key_element(): values(override) for override in (*in_config, *arguments)}
    for overrides in itertools.product(*lines.values()):
        yield Job(overrides, by.run(overrides))
