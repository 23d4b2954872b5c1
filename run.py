"""Runs one run, or with -m a sweep: python run.py -m method=fitnet,at,fsp fraction=1.0,0.5,0.25,0.1."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from kd_bench import command_line, own_process
from kd_bench.interruption import forwarding


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    """Runs the run that Hydra composed; one that fails does not stop the sweep's others."""
    own_process.run(command_line.checked(config, command_line.overrides_of(HydraConfig.get())))


if __name__ == "__main__":
    with forwarding():
        runs = command_line.preflight(sys.argv[1:])
        main()
        sys.exit(command_line.exit_status(runs))
