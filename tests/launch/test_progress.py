"""The bars of a sweep in a terminal, and what a file gets instead."""

import os
import pty
import re
import subprocess
import sys
import termios

import pytest
from helpers.command import ROOT, SHORT


def in_a_terminal(*arguments, outputs):
    """Returns the exit status of the command, and what it writes to a terminal."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 100))
    command = [sys.executable, ROOT / "run.py", *arguments, f"outputs={outputs}"]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its)
    os.close(its)
    written = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while part := terminal.read(4096):
                written += part
        except OSError:  # how Linux says that the other side is closed
            pass
    return process.wait(), written.decode()


@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_a_sweep_in_a_terminal_shows_one_bar_beside_whole_lines(tmp_path, launcher):
    status, written = in_a_terminal("-m", *launcher, "method=student", "seed=0,1", *SHORT, outputs=tmp_path)
    assert status == 0, written
    assert "0 of 2 runs   0%|" in written and " left" in written
    assert "  digits student fraction=1 seed=0 epochs=2: in its first epoch |" in written
    assert "epoch/s" not in written  # the bar of a single run
    lines = [re.split("\r|\x1b\\[A", line)[-1] for line in written.split("\r\n")]  # the cursor goes left, or up
    starts = [f"digits student fraction=1 seed={seed} epochs=2: starts" for seed in (0, 1)]
    assert sorted(line for line in lines if "starts" in line) == starts
    assert not lines[-1].strip()  # the bar is gone
