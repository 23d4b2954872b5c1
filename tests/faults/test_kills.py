"""Runs that are killed, again and again, end as if nothing had happened."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from helpers.command import ROOT, started, wait_for
from helpers.compare import assert_same_run, attempts
from helpers.kills import After, InWrite, attempt

RUN = ["method=fitnet", "epochs=12", "teacher.epochs=1", "deterministic=true", "hardware=cpu"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The run's directory and its seconds, and those of its process up to the first step."""
    outputs = tmp_path_factory.mktemp("undisturbed")
    assert attempt(["method=teacher", "epochs=1", *RUN[3:], f"outputs={outputs}"]) == 0
    started = time.perf_counter()
    assert attempt([*RUN, f"outputs={outputs}"]) == 0
    return directory(outputs), time.perf_counter() - started


def directory(outputs, method="fitnet"):
    (path,) = outputs.glob("digits/teachers/*/*/" if method == "teacher" else f"digits/tiny/{method}/*/*/")
    return path


def kills(seconds):
    """Yields moments without end: two by the clock, anywhere in a run, then one within a write."""
    chance = random.Random(0)
    for moment in itertools.cycle(("half", "written", "renamed")):
        yield After(seconds * chance.random())
        yield After(seconds * chance.random())
        yield InWrite(chance.randint(1, 7), moment)


def test_twelve_kills_change_nothing(tmp_path, undisturbed):
    expected, seconds = undisturbed
    killed, done = 0, []
    for kill in kills(seconds):
        outputs = tmp_path / str(len(done))
        code = attempt([*RUN, f"outputs={outputs}"], kill if killed < 12 else None)
        killed += code == -signal.SIGKILL
        if code == 0:
            done.append(directory(outputs))
            if killed == 12:
                break
    for resumed in done:
        assert_same_run(expected, resumed)
        assert not list(resumed.rglob("*.safetensors"))
    # Most of the kills hit a run that has not begun yet or its teacher, more of them on a slow machine.
    assert sum(len(attempts(resumed)) - 1 for resumed in done) >= 2


@pytest.fixture
def no_nohup():
    """Lets processes heed SIGHUP, also if the tests themselves were started with `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("no_nohup")
@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGTERM, os.kill),
        (signal.SIGINT, os.killpg),  # as a terminal does
        (signal.SIGTERM, os.killpg),  # as schedulers do: to every process of a job, the server among them
        (signal.SIGUSR1, os.killpg),
        (signal.SIGUSR2, os.killpg),
        (signal.SIGHUP, os.killpg),  # as a terminal that is closed does
    ],
)
def test_asked_to_stop_a_run_saves_first_and_goes_on_within_the_epoch(tmp_path, undisturbed, number, send):
    status = 128 + number
    process = started(*RUN, outputs=tmp_path)
    wait_for(tmp_path, "digits/tiny/fitnet/*/*/checkpoints/*-main-*.safetensors")
    send(process.pid, number)
    printed, _ = process.communicate(timeout=100)
    assert process.returncode == status
    assert "Traceback" not in printed and "KeyboardInterrupt" not in printed
    assert "the same command continues" in printed
    assert not list(directory(tmp_path).glob("result.json"))
    assert attempt([*RUN, f"outputs={tmp_path}"]) == 0
    assert_same_run(undisturbed[0], directory(tmp_path))


def test_checkpoints_within_an_epoch(tmp_path, undisturbed):
    arguments = [*RUN, f"outputs={tmp_path}", "checkpoint_every=7"]
    for kill in (InWrite(9, "half"), InWrite(12, "renamed"), InWrite(7, "written")):
        assert attempt(arguments, kill) == -signal.SIGKILL
    assert attempt(arguments) == 0
    assert any(step % 20 for _, step in attempts(directory(tmp_path)))
    assert_same_run(undisturbed[0], directory(tmp_path))


def test_killed_with_its_command_while_its_teacher_trains(tmp_path):
    arguments = ["method=soft_logits", "epochs=1", "teacher.epochs=30", "deterministic=true", "hardware=cpu"]
    process = started(*arguments, outputs=tmp_path)
    wait_for(tmp_path, "digits/teachers/*/*/checkpoints/*.safetensors")
    process.kill()
    process.communicate()
    again = subprocess.run(
        [sys.executable, ROOT / "run.py", *arguments, f"outputs={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert again.returncode == 0, again.stderr
    assert "digits teacher fraction=1 seed=0 deterministic=True: goes on from stage main" in again.stdout
    assert attempt(["method=teacher", "epochs=30", *arguments[3:], f"outputs={tmp_path}/undisturbed"]) == 0
    assert_same_run(directory(tmp_path / "undisturbed", "teacher"), directory(tmp_path, "teacher"))


def test_without_its_server_a_run_goes_on_and_its_sweep_comes_back_to_it(tmp_path):
    arguments = ["-m", "method=student", "seed=0,1", "epochs=40", "hardware=cpu"]
    process = started(*arguments, outputs=tmp_path)
    wait_for(tmp_path, "digits/tiny/student/*/seed=0-*/checkpoints/*.safetensors")
    (server,) = [one for one in psutil.Process(process.pid).children() if "forkserver" in " ".join(one.cmdline())]
    server.kill()
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed
    assert sorted(line.split()[-1] for line in printed.splitlines() if "seed=0" in line)[-1] == "starts", printed
    assert len(list(tmp_path.rglob("result.json"))) == 2


def test_with_a_parallel_launcher_runs_end_with_the_command_that_the_user_killed(tmp_path):
    parallel = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "method=student", "seed=0,1", "epochs=4000"]
    process = started(*parallel, outputs=tmp_path)
    for seed in (0, 1):
        wait_for(tmp_path, f"digits/tiny/student/*/seed={seed}-*/checkpoints/*.safetensors")
    children = psutil.Process(process.pid).children(recursive=True)
    training = [
        one for one in children if one.parent() is not None and "forkserver" in " ".join(one.parent().cmdline())
    ]
    process.kill()
    process.wait()
    process.stdout.close()
    gone, alive = psutil.wait_procs(training, timeout=100)
    assert len(gone) >= 2
    assert alive == []
    assert not list(tmp_path.rglob("result.json"))
    assert len({path.parent for path in tmp_path.rglob("*.safetensors")}) == 2


def test_a_step_that_outlives_its_command_is_cut_off(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", STUCK, tmp_path / "pid"], cwd=ROOT)
    (path,) = wait_for(tmp_path, "pid")
    while not (text := path.read_text()):
        time.sleep(0.02)
    stuck = psutil.Process(int(text))
    process.kill()
    process.wait()
    stuck.wait(timeout=30)


STUCK = """
import multiprocessing, os, sys, threading, time
from pathlib import Path
from kd_bench.launch import server, signals

def stuck(path):
    server.PATIENCE = 1.0
    with signals.listening(signals.heard()) as interruption:
        interruption.saving = True  # as within a step, which no signal ends
        end = multiprocessing.parent_process().join
        threading.Thread(target=server._leave_after, args=(end,), daemon=True).start()
        Path(path).write_text(str(os.getpid()))
        while True:
            time.sleep(1)

if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=stuck, args=(sys.argv[1],))
    process.start()
    process.join()
"""
