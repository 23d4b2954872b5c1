"""Processes that want the same run, the same teacher or the same data at once."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.command import ROOT, SHORT, records, run, started
from helpers.kills import attempt

METHODS = ["student", "soft_logits", "fitnet", "soft_logits"]


def test_four_at_once_on_nothing_train_each_teacher_once_and_lose_nothing(tmp_path):
    place = [f"dataset.data_dir={tmp_path}/data", "hardware.threads=1"]
    processes = [started(f"method={method}", *SHORT, *place, outputs=tmp_path / "outputs") for method in METHODS]
    printed = [process.communicate(timeout=400)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, printed
    assert "".join(printed).count("teacher fraction=1 seed=0 epochs=2: starts") == 1
    assert "".join(printed).count("soft_logits fraction=1 seed=0 teacher.epochs=2 epochs=2: starts") == 1
    assert {method for method, _, _ in records(tmp_path / "outputs")} == {"teacher", *METHODS}


@pytest.fixture
def student(tmp_path):
    """The directory of a run that is done."""
    assert attempt(["method=student", *SHORT, f"outputs={tmp_path}"]) == 0
    (path,) = tmp_path.glob("digits/tiny/student/*/*/")
    (path / "result.json").unlink()
    return path


def test_a_dead_processs_lock_is_taken_over(tmp_path, student):
    (student / ".holder").write_text(json.dumps({"host": "elsewhere", "process": 1}))
    assert (student / ".lock").exists()
    done = run("method=student", *SHORT, outputs=tmp_path)
    assert done.returncode == 0
    assert "waiting" not in done.stdout


def test_who_waits_says_for_whom(tmp_path):
    first = started("method=student", "epochs=300", outputs=tmp_path)
    pattern = "digits/tiny/student/*/*/checkpoints/*.safetensors"
    while not list(tmp_path.glob(pattern)):
        assert first.poll() is None
        time.sleep(0.05)
    second = started("method=student", "epochs=300", outputs=tmp_path)
    assert second.stdout.readline() == "1 run: 0 done before, 1 to do (1 from a checkpoint).\n"
    line = second.stdout.readline()
    assert " runs it; waiting." in line
    holder = int(line.partition(": process ")[2].split()[0])
    os.kill(holder, signal.SIGKILL)
    printed, _ = first.communicate(timeout=100)
    assert first.returncode == 1
    assert "SIGKILL ended its process" in printed
    assert second.stdout.readline().startswith("digits (experiment=digits): 10 classes ")
    assert "goes on from stage main" in second.stdout.readline()
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=100)
    assert second.returncode == 143


def test_a_killed_run_does_not_end_the_sweep(tmp_path):
    command = [sys.executable, ROOT / "run.py", "-m", "method=student", "seed=0,1", "epochs=20"]
    sweep = subprocess.Popen(
        [*command, f"outputs={tmp_path}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    holders = tmp_path.glob("digits/tiny/student/*/seed=0-*/.holder")
    while not (found := list(tmp_path.glob("digits/tiny/student/*/seed=0-*/checkpoints/*.safetensors"))):
        assert sweep.poll() is None
        time.sleep(0.02)
    (holder,) = holders
    os.kill(json.loads(holder.read_text())["process"], signal.SIGKILL)
    printed, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 1
    assert "SIGKILL ended its process" in printed
    statuses = {seed: record["status"] for (_, _, seed), record in records(tmp_path).items()}
    assert statuses == {0: "failed", 1: "done"}
    assert found[0].parent.exists()
