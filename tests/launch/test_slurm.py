"""Where no job can be submitted, `hydra/launcher=slurm` says so in one line; tests/cluster has a real Slurm."""

import importlib.util

import pytest
from helpers.command import run

from kd_bench.errors import ConfigError
from kd_bench.launch import slurm


def test_without_slurm_the_command_is_refused(tmp_path):
    done = run("-m", "hydra/launcher=slurm", "method=student", outputs=tmp_path, env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert done.stderr.startswith("error: hydra/launcher=slurm: there is no sbatch here. ")
    assert done.stderr.count("\n") == 1


def test_without_its_plugin_the_message_names_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install hydra-submitit-launcher\.$"):
        slurm.require()


def test_a_job_inherits_when_the_command_began(monkeypatch):
    monkeypatch.setenv("KD_BENCH_COMMAND", "c0ffee")
    assert "export KD_BENCH_COMMAND=c0ffee" in slurm.exports()
