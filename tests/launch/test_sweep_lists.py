"""The list that a sweep leaves of its runs, and when it is deleted."""

import json
import os

import pytest
from helpers.command import SHORT, started, wait_for
from helpers.finished import finish

from kd_bench.config.compose import jobs
from kd_bench.launch.refusals import Refused
from kd_bench.launch.sweep_lists import delete_finished_lists, read_lists, write_lists


@pytest.fixture
def sweep(tmp_path):
    return jobs(["-m", "method=student", "seed=0,1", f"outputs={tmp_path}"])


def lists(folder):
    return sorted(folder.glob(".sweep-*.json"))


def test_a_sweep_has_one_list_however_often_it_is_started_and_a_single_run_has_none(sweep, tmp_path):
    write_lists(sweep[:1])
    assert lists(tmp_path) == []
    write_lists(sweep)
    write_lists(sweep)
    (path,) = lists(tmp_path)
    assert read_lists(tmp_path, []) == {path: {one.directory: one.title for one in sweep}}


def test_a_list_is_deleted_when_all_its_runs_are_done_by_whatever_command(sweep, tmp_path):
    write_lists(sweep)
    finish(sweep[0])
    delete_finished_lists(sweep[:1])
    assert len(lists(tmp_path)) == 1
    finish(sweep[1])
    delete_finished_lists(sweep[1:])
    assert lists(tmp_path) == []


def test_a_run_that_was_refused_at_its_turn_is_not_to_do(sweep, tmp_path):
    write_lists(sweep)
    finish(sweep[0])
    delete_finished_lists(sweep, [Refused(sweep[1], "a reason")])
    assert lists(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"runs": []}',
        '{"runs": {"../../x": "a"}}',
        '{"runs": {"/x": "a"}}',
        '{"runs": {"a": "\\u001b"}}',
    ],
)
def test_an_odd_list_is_named_and_stays(content, sweep, tmp_path):
    path = tmp_path / ".sweep-0.json"
    path.write_text(content)
    problems = []
    assert read_lists(tmp_path, problems) == {}
    assert [problem.partition(" (")[0] for problem in problems] == [f"{path}: is not the list of a sweep"]
    delete_finished_lists(sweep)
    assert path.exists()


def test_a_pipe_in_the_place_of_a_list_is_named(tmp_path):
    os.mkfifo(tmp_path / ".sweep-0.json")
    problems = []
    assert read_lists(tmp_path, problems) == {}
    assert "is a pipe or a device" in problems[0]


def test_a_list_that_cannot_be_written_is_a_warning(sweep, tmp_path, capsys):
    write_lists(sweep)
    (path,) = lists(tmp_path)
    path.unlink()
    path.mkdir()
    write_lists(sweep)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the status cannot count the runs that have not begun: ")
    assert str(path) in line


def test_while_a_sweep_runs_it_is_listed_and_afterwards_nothing_is_left(tmp_path):
    process = started("-m", "method=student", "seed=0,1", *SHORT, outputs=tmp_path)
    (path,) = wait_for(tmp_path, ".sweep-*.json")
    titles = json.loads(path.read_text())["runs"].values()
    assert list(titles) == [f"digits student fraction=1 seed={seed} epochs=2" for seed in (0, 1)]
    printed, _ = process.communicate(timeout=400)
    assert (process.returncode, lists(tmp_path)) == (0, []), printed
