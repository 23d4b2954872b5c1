"""One Slurm for all tests of this folder; without the programs they are skipped."""

import pytest
from helpers import slurm


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The environment in which Slurm's commands, and ours, find the cluster."""
    if missing := slurm.missing():
        pytest.skip(f"no {', '.join(missing)} here; Debian has them: apt-get install slurm-wlm munge")
    with slurm.running(tmp_path_factory.mktemp("slurm")) as env:
        yield env
