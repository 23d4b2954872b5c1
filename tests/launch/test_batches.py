"""Which jobs of a sweep come next, and that copies of one command share its runs."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from helpers.command import ROOT, SHORT, records, run

from kd_bench.config.compose import Job, jobs
from kd_bench.launch import batches, grid
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import write_record
from kd_bench.runs.standing import read_standing


def listed(tmp_path, *arguments):
    return [Job((), one) for one in jobs(["-m", *arguments, f"outputs={tmp_path}"])]


def names(batch):
    return [(job.run.method.name, job.run.seed) for job in batch]


def fail(config):
    folder = RunFolder(config.directory)
    folder.make()
    write_record(folder.record, record_failure(config, "a reason"))


def test_one_job_for_a_missing_teacher_comes_before_those_that_need_none(tmp_path, monkeypatch):
    sweep = listed(tmp_path, "method=student,at,dml,fsp", "seed=0,1")
    first = batches.next_batch(sweep)
    assert names(first) == [("at", 0), ("student", 0), ("student", 1), ("dml", 0), ("dml", 1)]
    monkeypatch.setenv("KD_BENCH_COMMAND", "this one")
    fail(sweep[2].run.teacher_run())  # tried once: the others need not wait for it any more
    rest = [job for job in sweep if job not in first]
    assert names(batches.next_batch(rest)) == [("at", 1), ("fsp", 0), ("fsp", 1)]


def test_the_teachers_own_run_is_better_than_a_students(tmp_path):
    sweep = listed(tmp_path, "method=at,teacher", "epochs=3", "teacher.epochs=3")
    assert names(batches.next_batch(sweep)) == [("teacher", 0)]


def test_two_teachers_are_two_jobs(tmp_path):
    sweep = listed(tmp_path, "method=at", "teacher.seed=0,1", "seed=0,1")
    assert [(job.run.teacher.seed, job.run.seed) for job in batches.next_batch(sweep)] == [(0, 0), (1, 0)]


def test_what_another_process_does_is_left_out_and_waited_for_if_nothing_else_is_left(tmp_path, monkeypatch, capsys):
    sweep = listed(tmp_path, "method=student", "seed=0,1")
    folder = RunFolder(sweep[0].run.directory)
    folder.make()
    waits = []
    with locked(folder):
        assert names(batches.next_batch(sweep)) == [("student", 1)]
        monkeypatch.setattr(batches, "time", SimpleNamespace(sleep=lambda _: waits.append(fail(sweep[0].run))))
        monkeypatch.setenv("KD_BENCH_COMMAND", "this one")
        assert batches.next_batch(sweep[:1]) == []
    assert waits
    assert "Other commands are doing the remaining runs (1)" in capsys.readouterr().out


def test_nothing_is_launched_if_other_commands_have_done_it_all_meanwhile(monkeypatch):
    monkeypatch.setattr(grid, "still_to_do", list)
    monkeypatch.setattr(grid, "next_batch", lambda _: [])
    assert grid.launch(["a job"], launcher=None) == []  # it must not be asked


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_run_that_failed_is_tried_once_per_command_whatever_the_clocks_say(hours, tmp_path, monkeypatch):
    (job,) = listed(tmp_path, "method=student")
    monkeypatch.setenv("KD_BENCH_COMMAND", "an earlier one")
    fail(job.run)
    record, when = RunFolder(job.run.directory).record, time.time() + 3600 * hours
    os.utime(record, (when, when))
    assert not read_standing(job.run).is_to_do
    monkeypatch.setenv("KD_BENCH_COMMAND", "this one")
    assert read_standing(job.run).is_to_do
    assert batches.still_to_do([job]) == [job]
    monkeypatch.delenv("KD_BENCH_COMMAND")
    assert read_standing(job.run).is_to_do


def test_two_copies_of_one_command_do_each_run_once(tmp_path):
    command = [sys.executable, ROOT / "run.py", "-m", "method=student,soft_logits", "seed=0,1", *SHORT]
    copies = [
        subprocess.Popen([*command, f"outputs={tmp_path}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    printed = [copy.communicate(timeout=400)[0] for copy in copies]
    assert [copy.returncode for copy in copies] == [0] * 2, printed
    starts = [line for line in "".join(printed).splitlines() if line.endswith("starts")]
    assert len(starts) == len(set(starts)) == 5
    assert len(records(tmp_path)) == 5


def test_a_teacher_that_fails_is_trained_once_and_its_students_fail_for_it(tmp_path):
    done = run("-m", "method=at", "seed=0,1", *SHORT, "teacher.optimizer.learning_rate=1e30", outputs=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("teacher fraction=1 seed=0") == 1, done.stdout
    assert {key[0]: record["status"] for key, record in records(tmp_path).items()} == {
        "teacher": "failed",
        "at": "failed",
    }
