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

from kd_bench.config.composer import Composer, composer, container
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
        of_hydra = [str(override.input_line) for override in overrides if override.is_hydra_override()]
        refuse_wrong_choices(of_runs, by.groups)
        hydra = by.hydra([*of_hydra, *by.choices(of_runs)])
        if hydra.launcher.get("n_jobs") == 0:
            raise ConfigError("hydra.launcher.n_jobs=0: must be at least 1, or -1 for all cores.")
        is_sweep = hydra.mode == RunMode.MULTIRUN
        return [by.run(lines) for lines in (_sweep(by, hydra, of_runs) if is_sweep else [_single(of_runs)])]


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
    run = composer(hydra.job.config_name, search).checked(container(config), hydra.overrides.task)
    if Path(hydra.runtime.cwd) == Path.cwd():
        return run
    # With hydra.job.chdir=true the job is in another folder than the one where the command was started.
    return replace(run, outputs=str(Path(hydra.runtime.cwd, run.outputs)))


def _single(overrides: Sequence[Override]) -> list[str]:
    for override in overrides:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: several values make a sweep; add -m before them.")
    return [str(override.input_line) for override in overrides]


def _sweep(by: Composer, hydra: DictConfig, overrides: Sequence[Override]) -> Iterator[tuple[str, ...]]:
    """Yields the overrides of each of a sweep's runs, from its config (`hydra.sweeper.params`) and its command line."""
    if hydra.runtime.choices["hydra/sweeper"] != "basic":
        raise UnlistedSweepError
    by.require_keys(overrides)
    in_config = parsed([f"{key}={value}" for key, value in (hydra.sweeper.params or {}).items()])
    lines = {override.get_key_element(): values(override) for override in (*in_config, *overrides)}
    return itertools.product(*lines.values())
