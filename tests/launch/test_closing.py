import sys
from dataclasses import replace

import pytest
from helpers.records import make_record

from kd_bench.config.compose import jobs
from kd_bench.launch import closing
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.standing import Standing


@pytest.fixture
def told(monkeypatch, capsys, tmp_path):
    """Tells where the results of a command's runs are, as if those with these seeds were done; returns the lines."""

    def tell(*arguments, started="run.py", done=(0, 1, 2), repeat=False):
        new = Standing(RunFolder(tmp_path))
        finished = replace(new, record=make_record("Student", 0.975))
        monkeypatch.setattr(closing, "read_standing", lambda run: finished if run.seed in done else new)
        monkeypatch.setattr(sys, "argv", [started])
        closing.tell_results(jobs(["method=student", *arguments]), repeat)
        return capsys.readouterr().out.splitlines()

    return tell


def test_a_run_is_found_in_its_folder(told):
    (run,) = jobs(["method=student"])
    assert told() == [f"Results: in {run.directory}; to see them: python aggregate.py"]
    assert told(repeat=True) == [f"Results: 97.50%, in {run.directory}; to see them: python aggregate.py"]


def test_a_sweep_is_found_in_its_outputs_folder(told):
    sweep = ["-m", "seed=0,1"]
    assert told(*sweep) == told(*sweep, repeat=True) == ["Results: in outputs; to see them: python aggregate.py"]
    assert told(*sweep, done=[1]) == told(*sweep)


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=0,1"]])
def test_without_a_result_nothing_is_said(told, arguments):
    assert told(*arguments, done=[]) == []


@pytest.mark.parametrize(
    ("started", "command"),
    [
        ("run.py", "python aggregate.py"),
        ("../bench/run.py", "python ../bench/aggregate.py"),
        ("my folder/run.py", "python 'my folder/aggregate.py'"),
        ("kd-bench run", "kd-bench table"),
        ("python -m kd_bench run", "python -m kd_bench table"),
        ("-c", "python aggregate.py"),
        ("", "python aggregate.py"),
    ],
)
def test_the_next_command_is_started_as_this_one_was(told, started, command):
    assert told(started=started)[-1].endswith(f"; to see them: {command}")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["outputs=mine"], "--outputs mine"),
        (["outputs='my runs'"], "--outputs 'my runs'"),
        (["-m", "outputs=b,a"], "--outputs a b"),
        (["-m", "outputs=outputs,a"], "--outputs a outputs"),
        (["validation=0.1"], "--runs"),
    ],
)
def test_the_next_command_has_the_options_that_it_needs(told, arguments, options):
    assert told(*arguments)[-1].endswith(f" to see them: python aggregate.py {options}")


def test_redo_says_why_nothing_is_done(told):
    assert "delete its folder" in told("redo=true", repeat=True)[0]
    assert len(told("redo=true")) == len(told(repeat=True)) == 1
