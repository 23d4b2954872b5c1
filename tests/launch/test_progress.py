"""The overall bar of a sweep: what it counts, and what a terminal shows."""

import os
import pty
import subprocess
import sys
import termios

import pytest
from helpers.command import ROOT, SHORT, run

from kd_bench.config.compose import jobs
from kd_bench.launch.progress import Sweep
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import write_record


def fail(config):
    folder = RunFolder(config.directory)
    folder.make()
    write_record(folder.record, record_failure(config, "a reason"))


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


def test_a_run_counts_by_its_epochs_and_its_share_of_the_data(tmp_path):
    budget = ["budget=epochs", "epochs=8", f"outputs={tmp_path}"]
    sweep = Sweep(jobs(["-m", "method=student", "fraction=0.25,1.0", *budget]))
    sweep.begin()
    assert (sweep.work, sweep.work_done(), sweep.summary()) == (10, 0, "0 of 2 runs")


def test_a_missing_teacher_is_work_but_not_one_of_the_runs(tmp_path):
    sweep = Sweep(jobs(["-m", "method=at", "seed=0,1", "epochs=8", "teacher.epochs=3", f"outputs={tmp_path}"]))
    sweep.begin()
    assert (sweep.work, sweep.summary()) == (19, "0 of 2 runs")


def test_a_run_that_failed_before_is_to_do_and_one_that_fails_now_is_over(tmp_path, monkeypatch):
    runs = jobs(["-m", "method=student", "seed=0,1", "epochs=8", f"outputs={tmp_path}"])
    fail(runs[0])
    monkeypatch.setenv("KD_BENCH_BEGAN", "inf")
    sweep = Sweep(runs)
    sweep.begin()
    assert (sweep.work_done(), sweep.summary()) == (0, "0 of 2 runs")
    fail(runs[1])
    assert (sweep.work_done(), sweep.summary()) == (8, "1 of 2 runs, 1 failed")


@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_a_sweep_in_a_terminal_shows_one_bar_beside_whole_lines(tmp_path, launcher):
    status, written = in_a_terminal("-m", *launcher, "method=student", "seed=0,1", *SHORT, outputs=tmp_path)
    assert status == 0, written
    assert "0 of 2 runs   0%|" in written and " left" in written
    assert "epoch/s" not in written  # the bar of a single run
    lines = [line.rpartition("\r")[2] for line in written.split("\r\n")]
    starts = [f"digits student fraction=1 seed={seed} epochs=2: starts" for seed in (0, 1)]
    assert sorted(line for line in lines if "starts" in line) == starts
    assert not lines[-1].strip()  # the bar is gone


def test_there_is_no_bar_in_a_file(tmp_path):
    done = run("-m", "method=student", "seed=0,1", *SHORT, outputs=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "left" not in done.stdout
