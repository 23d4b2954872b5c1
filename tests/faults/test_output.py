"""What a command prints may be lost: a closed pipe, a full log disk, no stream at all. Its runs are done."""

import os
import subprocess
import sys

import pytest
from helpers.command import ROOT, records

RUN = ["method=student", "epochs=1", "fraction=0.1", "hardware=cpu"]


def shell(redirections, *arguments, **environment):
    """Runs run.py with a shell's redirections; returns what came through."""
    command = ["bash", "-c", f'exec "$@" {redirections}', "bash", sys.executable, "run.py", *arguments]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    return subprocess.run(command, capture_output=True, timeout=300, cwd=ROOT, env=environment)


def statuses(outputs):
    return [record["status"] for record in records(outputs).values()]


def test_a_reader_that_has_seen_enough_ends_no_run(tmp_path):
    command = [sys.executable, ROOT / "run.py", "-m", *RUN, "seed=0,1,2", f"outputs={tmp_path}"]
    sweep = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert sweep.stdout.readline() == "3 runs: 0 done before, 3 to do.\n"
    sweep.stdout.close()
    _, errors = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, errors
    assert "Traceback" not in errors and "pipe" not in errors
    assert statuses(tmp_path) == ["done"] * 3


@pytest.mark.parametrize("redirections", [">/dev/full 2>&-", ">&- 2>/dev/full <&-"])
def test_what_cannot_be_printed_is_lost_and_the_run_is_done(redirections, tmp_path):
    done = shell(redirections, *RUN, f"outputs={tmp_path}")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert statuses(tmp_path) == ["done"]


def test_what_ascii_lacks_is_replaced(tmp_path):
    done = shell("", *RUN, "method.label='Schüler'", f"outputs='{tmp_path}/ü'", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert statuses(tmp_path) == ["done"]
