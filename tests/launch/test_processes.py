"""What a run's process tells the command."""

import multiprocessing
import subprocess
import sys

from helpers.command import ROOT

from kd_bench.launch.processes import ExitStatus, _reported


def test_a_run_that_fails_after_its_command_was_killed_ends_without_a_traceback(capsys):
    reader, writer = multiprocessing.Pipe(duplex=False)
    reader.close()
    assert _reported("a reason", ExitStatus.FAILED, writer) == ExitStatus.FAILED
    assert capsys.readouterr().err == "error: a reason\n"


def test_the_server_can_import_what_it_loads_in_advance():
    """Python says nothing if it cannot, and then every run imports TensorFlow by itself."""
    command = [sys.executable, "-c", "import kd_bench.launch.preload, kd_bench.execution"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).returncode == 0
