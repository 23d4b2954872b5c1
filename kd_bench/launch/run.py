"""The command `run`: one run, or with -m a sweep."""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from kd_bench.config.compose import is_search, of_job
from kd_bench.config.overrides import escaped, flags_first, read_options
from kd_bench.config.paths import require_home
from kd_bench.config.preset import with_preset
from kd_bench.installation import CONF
from kd_bench.launch import preflight, processes
from kd_bench.launch.closing import tell_results
from kd_bench.launch.progress import showing_progress
from kd_bench.launch.signals import forwarding
from kd_bench.launch.sweep_lists import delete_finished_lists
from kd_bench.messages import protect_streams
from kd_bench.runs.command import begin_command


def main() -> int:
    """Does the runs of the command line; returns the exit status."""
    protect_streams()
    sys.path.append(str(Path.cwd()))  # where a user's own modules are; the command itself is elsewhere
    with preflight.refusing():
        require_home()
        sys.argv[1:] = with_preset(flags_first(escaped(sys.argv[1:])))
    begin_command()
    with forwarding():
        runs = preflight.preflight(sys.argv[1:])
        _find_config_path()
        with showing_progress(runs):
            _job()
        status = preflight.exit_status(runs)
        delete_finished_lists(runs)
        tell_results(runs)
        return status


def _find_config_path() -> None:
    """Makes --config-path absolute: Hydra would look for it beside this file."""
    if path := read_options(sys.argv[1:]).config_path:
        sys.argv += ["--config-path", str(Path(path).resolve())]  # of two, the last counts


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _job(config: DictConfig) -> processes.Outcome | float | None:
    """Does the run that Hydra composed. A run that fails does not stop the rest of its sweep.

    Returns:
        How the run ended; for a search, its accuracy, or None if it is not done.
    """
    protect_streams()  # also in the workers of a launcher
    hydra = HydraConfig.get()
    with preflight.refusing():
        run = of_job(config)
    # Only the sweeper `grid` starts a run again later, if another command does it now.
    outcome = processes.run(run, wait=hydra.mode == RunMode.RUN or hydra.runtime.choices["hydra/sweeper"] != "grid")
    if outcome.status == processes.ExitStatus.REFUSED and hydra.mode == RunMode.RUN:
        sys.exit(outcome.status)  # in a sweep, the other runs continue
    return processes.accuracy(run) if is_search(hydra) else outcome
