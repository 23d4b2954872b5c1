"""Lists the runs that a command line asks for, as Hydra would start them, and checks them all before one starts.

Hydra composes a sweep's jobs one by one as it comes to them. Nothing here imports TensorFlow.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
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
    """A sweeper other than Hydra's basic one chooses the runs while it runs: they cannot be listed before."""


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
        if hydra.runtime.choices["hydra/sweeper"] != "basic":
            raise UnlistedSweepError
        by.require_keys(of_runs)
        in_config = parsed([f"{key}={value}" for key, value in (hydra.sweeper.params or {}).items()])
        return [by.run(lines) for lines in _sweep([*in_config, *of_runs])]


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


def _sweep(overrides: Sequence[Override]) -> Iterator[tuple[str, ...]]:
    """Yields the overrides of each run. Of several overrides of a key the last one counts: the command line's."""
    lines = {override.get_key_element(): values(override) for override in overrides}
    return itertools.product(*lines.values())
