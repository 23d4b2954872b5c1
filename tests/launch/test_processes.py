"""What a run's process tells the command."""

import multiprocessing
import subprocess
import sys

import pytest
from helpers.command import ROOT

from kd_bench.config.compose import jobs
from kd_bench.launch import processes
from kd_bench.launch.processes import FAILED_STATUS, REFUSED_STATUS, Outcome, _reported


def test_a_run_that_fails_after_its_command_was_killed_ends_without_a_traceback(capsys):
    reader, writer = multiprocessing.Pipe(duplex=False)
    reader.close()
    assert _reported("a reason", FAILED_STATUS, writer) == FAILED_STATUS
    assert capsys.readouterr().err == "error: a reason\n"


@pytest.mark.parametrize(
    ("value", "built"), [("method.hint_point=9", True), ("fraction=0.01", True), ("epochs=3", False)]
)
def test_a_run_with_own_values_is_built_before_its_teacher_is_trained(value, built, tmp_path, monkeypatch):
    done = []

    def refuse(config, wait, only_build=False):
        done.append((config.method.name, only_build))
        return Outcome(REFUSED_STATUS, "a reason")

    monkeypatch.setattr(processes, "_run_in_process", refuse)
    (config,) = jobs(["method=fitnet", value, f"outputs={tmp_path}"])
    assert processes.run_after_teacher(config).status == REFUSED_STATUS
    assert done == [("fitnet", True) if built else ("teacher", False)]


def test_the_server_can_import_what_it_loads_in_advance():
    """Python says nothing if it cannot, and then every run imports TensorFlow by itself."""
    command = [sys.executable, "-c", "import kd_bench.launch.preload, kd_bench.execution"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).returncode == 0
