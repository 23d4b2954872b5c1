"""What a sweep counts, and which of its runs are running."""

import pytest

from kd_bench.config.compose import jobs
from kd_bench.launch.sweep import Sweep
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.metrics import append_metrics
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import write_record


def fail(config):
    folder = RunFolder(config.directory)
    folder.make()
    write_record(folder.record, record_failure(config, "a reason"))


def test_a_run_counts_by_its_epochs_and_its_share_of_the_data(tmp_path):
    budget = ["budget=epochs", "epochs=8", f"outputs={tmp_path}"]
    sweep = Sweep(jobs(["-m", "method=student", "fraction=0.25,1.0", *budget]))
    sweep.begin()
    assert (sweep.work, sweep.done, sweep.finished, sweep.requested) == (10, 0, 0, 2)


def test_a_missing_teacher_is_work_but_not_one_of_the_runs(tmp_path):
    sweep = Sweep(jobs(["-m", "method=at", "seed=0,1", "epochs=8", "teacher.epochs=3", f"outputs={tmp_path}"]))
    sweep.begin()
    assert (sweep.work, sweep.finished, sweep.requested) == (19, 0, 2)


def test_a_run_that_failed_before_is_to_do_and_one_that_fails_now_is_over(tmp_path, monkeypatch):
    runs = jobs(["-m", "method=student", "seed=0,1", "epochs=8", f"outputs={tmp_path}"])
    fail(runs[0])
    monkeypatch.setenv("KD_BENCH_COMMAND", "this one")
    sweep = Sweep(runs)
    sweep.begin()
    assert (sweep.done, sweep.finished, sweep.failed) == (0, 0, "")
    fail(runs[1])
    sweep.update()
    assert (sweep.done, sweep.finished, sweep.failed) == (8, 1, ", 1 failed")


def test_a_run_that_a_process_holds_is_running_with_its_last_accuracy(tmp_path):
    (run, _) = jobs(["-m", "method=student", "seed=0,1", "epochs=8", f"outputs={tmp_path}"])
    sweep = Sweep([run])
    sweep.begin()
    assert sweep.running == []
    folder = RunFolder(run.directory)
    folder.make()
    with locked(folder):
        sweep.update()
        assert [(one.config, one.kept_progress) for one in sweep.running] == [(run, None)]
        folder.checkpoints.mkdir()
        line = {"stage": "main", "epochs": 8, "seconds": 3.0}
        append_metrics(folder.metrics, line | {"epoch": 1, "elapsed_seconds": 3.0, "test_accuracy": 0.5})
        append_metrics(folder.metrics, line | {"epoch": 2, "elapsed_seconds": 5.0})
        sweep.update()
        progress = sweep.running[0].kept_progress
        assert (progress.epoch, progress.accuracy, progress.seconds_left) == (2, 0.5, 12.0)
        assert sweep.done == pytest.approx(2)
        assert sweep.seconds_left > 0
    sweep.update()
    assert sweep.running == []
