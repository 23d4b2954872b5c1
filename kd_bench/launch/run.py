"""The command `run`: one run, or with -m a sweep."""

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from kd_bench.config.command_line import read
from kd_bench.config.compose import GRID, is_search, run_of
from kd_bench.config.explanations import explaining
from kd_bench.config.paths import require_home
from kd_bench.config.search_path import finding_configs
from kd_bench.installation import CONF
from kd_bench.launch import processes
from kd_bench.launch.closing import close_runs
from kd_bench.launch.help import help_template
from kd_bench.launch.opening import OpeningError, opening
from kd_bench.launch.progress import showing_progress
from kd_bench.launch.refusals import refusing
from kd_bench.launch.signals import forwarding
from kd_bench.messages import protect_streams
from kd_bench.runs.command import begin_command


def main() -> int:
    """Does the runs of the command line; returns 0, or ends the program with another status."""
    protect_streams()
    sys.path.append(str(Path.cwd()))  # where a user's own modules are; the command itself is elsewhere
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    OmegaConf.register_new_resolver("help_template", help_template, replace=True)
    with refusing():
        require_home()
        options = read(sys.argv[1:])
        shown = [] if options.shows else [opening(dry_run=options.dry_run)]
        sys.argv[1:] = [*options.flags, *options.overrides, *shown]
        begin_command()
        with forwarding(), explaining(options), finding_configs():
            _start_hydra()
    return 0


def _start_hydra() -> None:
    try:
        _job()
    except OpeningError as raised:
        raise raised.__cause__ or raised from None


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _job(config: DictConfig) -> processes.Outcome | float | None:
    """Does the run that Hydra composed. A run that fails does not stop the rest of its sweep.

    Returns:
        How the run ended; for a search, its accuracy, or None if it is not done.
    """
    protect_streams()  # also in the workers of a launcher
    hydra = HydraConfig.get()
    with refusing():
        run = run_of(config)
    if hydra.mode == RunMode.RUN:
        with showing_progress([run]):
            outcome = processes.run(run)
        if outcome.status == processes.ExitStatus.REFUSED:
            sys.exit(outcome.status)
        close_runs([run])
        return outcome
    # Only the sweeper `grid` starts a run again later, if another command does it now.
    outcome = processes.run(run, wait=hydra.runtime.choices["hydra/sweeper"] != GRID)
    return processes.accuracy(run) if is_search(hydra) else outcome
