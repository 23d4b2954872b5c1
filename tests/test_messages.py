"""Commands that only print end quietly if their reader has seen enough, and say so if their output is lost."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import ROOT

PRINTING = [
    ["run.py", "--help"],
    ["run.py", "--dry-run", "method=student"],
    ["run.py", "--cfg", "job"],
    ["-m", "kd_bench", "--help"],
    ["-m", "kd_bench", "status", "--outputs", "docs"],
    ["tune.py", "--help"],
]


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_closed_pipe_ends_a_command_quietly(arguments):
    closed = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    closed.wait()
    done = subprocess.run(
        [sys.executable, *arguments], stdout=closed.stdin, stderr=subprocess.PIPE, text=True, timeout=100, cwd=ROOT
    )
    closed.stdin.close()
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("arguments", "status"), [(PRINTING[1], 2), (PRINTING[4], 1)])
def test_a_list_or_a_table_that_a_full_disk_loses_is_an_error(arguments, status):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, cwd=ROOT
        )
    assert done.returncode == status
    assert "the standard output: cannot be written: No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


def test_after_a_lost_message_the_next_one_is_printed(tmp_path):
    script = (
        "import os\n"
        "from kd_bench import messages\n"
        "messages.protect_streams()\n"
        "log = os.dup(1)\n"
        "os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n"
        "messages.say('lost')\n"
        "os.dup2(log, 1)\n"
        "messages.say('printed')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "printed\n", "")
