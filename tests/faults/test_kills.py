"""Runs that are killed, again and again, end as if nothing had happened."""

import itertools
import random
import signal
import subprocess
import sys
import time

import pytest
from helpers.attempts import After, InWrite, Never, attempt
from helpers.command import ROOT
from helpers.compare import assert_same_run, sessions

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


def test_twenty_kills_change_nothing(tmp_path, undisturbed):
    expected, seconds = undisturbed
    killed, done = 0, []
    for kill in kills(seconds):
        outputs = tmp_path / str(len(done))
        code = attempt([*RUN, f"outputs={outputs}"], kill if killed < 20 else Never())
        killed += code == -signal.SIGKILL
        if code == 0:
            done.append(directory(outputs))
            if killed == 20:
                break
    for resumed in done:
        assert_same_run(expected, resumed)
        assert not list(resumed.rglob("*.safetensors"))
    assert sum(len(sessions(resumed)) - 1 for resumed in done) > 5


def started(arguments, outputs):
    command = [sys.executable, ROOT / "run.py", *arguments, f"outputs={outputs}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(outputs, pattern, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := sorted(outputs.glob(pattern)):
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {pattern} in {seconds} s")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_asked_to_stop_a_run_saves_first_and_goes_on_within_the_epoch(tmp_path, undisturbed, number, status):
    process = started(RUN, tmp_path)
    wait_for(tmp_path, "digits/tiny/fitnet/*/*/checkpoints/*-main-*.safetensors")
    process.send_signal(number)
    printed, _ = process.communicate(timeout=100)
    assert process.returncode == status
    assert "Traceback" not in printed and "KeyboardInterrupt" not in printed
    assert "the same command goes on" in printed
    assert not list(directory(tmp_path).glob("result.json"))
    assert attempt([*RUN, f"outputs={tmp_path}"]) == 0
    assert_same_run(undisturbed[0], directory(tmp_path))


def test_checkpoints_within_an_epoch(tmp_path, undisturbed):
    arguments = [*RUN, f"outputs={tmp_path}", "checkpoint_every=7"]
    for kill in (InWrite(9, "half"), InWrite(12, "renamed"), InWrite(7, "written")):
        assert attempt(arguments, kill) == -signal.SIGKILL
    assert attempt(arguments) == 0
    assert any(step % 20 for _, step in sessions(directory(tmp_path)))
    assert_same_run(undisturbed[0], directory(tmp_path))


def test_killed_with_its_command_while_its_teacher_trains(tmp_path):
    arguments = ["method=soft_logits", "epochs=1", "teacher.epochs=30", "deterministic=true", "hardware=cpu"]
    process = started(arguments, tmp_path)
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
