"""Runs one run, or with -m a sweep: python run.py -m method=fitnet,at,fsp fraction=1.0,0.5,0.25,0.1."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from kd_bench.config.compose import is_search, of_job
from kd_bench.config.overrides import escaped
from kd_bench.launch import preflight, processes
from kd_bench.launch.progress import overall_bar
from kd_bench.launch.signals import forwarding


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float | None:
    """Runs the run that Hydra composed. A run that fails does not stop the rest of its sweep.

    Returns:
        The run's status; for a search, its accuracy, or None if it is not done.
    """
    hydra = HydraConfig.get()
    with preflight.refusing():
        run = of_job(config)
    # Only the sweeper `grid` starts a run again later, if another command does it now.
    status = processes.run(run, wait=hydra.mode == RunMode.RUN or hydra.runtime.choices["hydra/sweeper"] != "grid")
    if status == processes.REFUSED_STATUS and hydra.mode == RunMode.RUN:
        sys.exit(status)  # in a sweep, the other runs continue
    return processes.accuracy(run) if is_search(hydra) else status


if __name__ == "__main__":
    sys.argv[1:] = escaped(sys.argv[1:])
    processes.begin_command()
    with forwarding():
        runs = preflight.preflight(sys.argv[1:])
        with overall_bar(runs):
            main()
        sys.exit(preflight.exit_status(runs))
