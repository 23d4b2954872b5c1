"""--dry-run: the runs that a command would do, with estimates from earlier runs."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from helpers.command import ROOT, run

from kd_bench.config.compose import at_a_time, jobs
from kd_bench.launch import estimates
from kd_bench.launch.dry_run import dry_run
from kd_bench.runs.environment import machine
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.metrics import append_metrics
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import DONE, Cost, Scores, write_record


def finish(config, training=30.0, other=5.0, on=None):
    """Writes the record of a run that took so long."""
    folder = RunFolder(config.directory)
    folder.make()
    failed = record_failure(config, "a reason")
    cost = Cost(steps={"main": 1}, seconds=training + other, training_seconds=training)
    setting = replace(failed.setting, machine=machine() | (on or {}))
    done = replace(failed, status=DONE, reason=None, scores=Scores(last_accuracy=0.5), cost=cost, setting=setting)
    write_record(folder.record, done)
    folder.network.touch()


def listed(*arguments, together=1):
    first, *others = dry_run(jobs(arguments), together).splitlines()
    return first, others


def test_it_lists_what_is_to_do_teachers_first_and_counts_what_is_done(tmp_path):
    sweep = ["-m", "method=student,at", "seed=0,1", f"outputs={tmp_path}"]
    finish(jobs(sweep)[0])
    assert listed(*sweep) == (
        "4 runs: 1 done before, 3 to do.",
        [
            "  unknown      digits teacher fraction=1 seed=0 (the teacher of other runs)",
            "  about 35 s   digits student fraction=1 seed=1",
            "  unknown      digits at fraction=1 seed=0",
            "  unknown      digits at fraction=1 seed=1",
            "All of them: about 35 s, without 3 of unknown length.",
        ],
    )


def test_an_estimate_scales_the_training_time_of_the_nearest_run(tmp_path):
    base = ["method=student", f"outputs={tmp_path}"]
    finish(jobs([*base, "epochs=2"])[0], training=99.0)
    finish(jobs([*base, "epochs=30"])[0])
    (line, _) = listed(*base, "epochs=60", "seed=1")[1]
    assert line == "  about 65 s   digits student fraction=1 seed=1 epochs=60"
    (line, _) = listed(*base, "epochs=40", "seed=1", "budget=epochs", "fraction=0.5")[1]
    assert line.startswith("  about 25 s ")


def test_an_estimate_takes_the_speed_of_the_last_epochs_because_the_first_one_is_slower(tmp_path):
    base = ["method=student", f"outputs={tmp_path}"]
    (earlier,) = jobs([*base, "epochs=5"])
    finish(earlier, training=10.0)
    for epoch, elapsed in enumerate([6.0, 7.0, 8.0, 9.0, 10.0], start=1):
        line = {"stage": "main", "epoch": epoch, "epochs": 5, "seconds": 1.0, "elapsed_seconds": elapsed}
        append_metrics(RunFolder(earlier.directory).metrics, line)
    assert listed(*base, "epochs=65")[1][0].startswith("  about 75 s ")  # 15 s, and 60 epochs of 1 s


@pytest.mark.parametrize("other", ["method=dml", "model=tiny_mixed", "model.student.width=2"])
def test_another_method_or_network_gives_no_estimate(tmp_path, other):
    base = ["method=student", f"outputs={tmp_path}"]
    finish(jobs(base)[0])
    (line,) = listed(*base, "seed=1", other)[1]
    assert line.startswith("  unknown ")


def test_another_machine_gives_no_estimate(tmp_path):
    base = ["method=student", f"outputs={tmp_path}"]
    finish(jobs(base)[0], on={"processor": "another one"})
    assert listed(*base, "seed=1")[1] == ["  unknown      digits student fraction=1 seed=1"]


def test_a_launcher_of_two_jobs_needs_half_the_time(tmp_path):
    sweep = ["-m", "method=student", "seed=0,1,2,3", f"outputs={tmp_path}"]
    finish(jobs(sweep)[0], training=995.0)
    two = run("--dry-run", *sweep, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", outputs=tmp_path)
    assert two.stdout.splitlines()[-1] == "All of them: about 25 min with 2 runs at a time."
    assert listed(*sweep, together=64)[1][-1].endswith("with 3 runs at a time.")
    assert listed(*sweep)[1][-1] == "All of them: about 50 min."


def test_all_cores_are_as_many_jobs(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    assert [at_a_time({"n_jobs": number}) for number in (-1, -2, 3)] == [12, 11, 3]
    assert at_a_time({}) == 1
    assert at_a_time({"array_parallelism": 256}) == 256


def test_a_list_needs_no_cluster(tmp_path):
    nowhere = os.environ | {"PATH": ""}
    done = run("-m", "--dry-run", "hydra/launcher=slurm", "seed=0,1", outputs=tmp_path, env=nowhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 runs: 0 done before, 2 to do.")


def test_a_launcher_of_no_jobs_is_refused(tmp_path):
    done = run("-m", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0", outputs=tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: hydra.launcher.n_jobs=0: must be at least 1, or -1 for all cores.\n"
    assert not list(tmp_path.iterdir())


def test_a_search_is_refused_because_its_runs_are_not_known(tmp_path):
    done = run("-m", "--dry-run", "hydra/sweeper=search", "validation=0.1", "method=at", outputs=tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --dry-run: a search chooses its runs by their results; they cannot be listed.\n"


def test_a_sweep_in_a_preset_is_listed_and_nothing_is_written_or_imported(tmp_path):
    (tmp_path / "experiment").mkdir()
    preset = "# @package _global_\ndefaults: [digits]\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}}\n"
    (tmp_path / "experiment/study.yaml").write_text(preset)
    before = sorted(tmp_path.rglob("*"))
    code = (
        "import sys; from kd_bench.launch import run\n"
        "sys.argv[1:] = ['--dry-run', '--config-dir=.', 'experiment=study', 'method=student']\n"
        "try: run.main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("2 runs: 0 done before, 2 to do.\n  unknown      digits student fraction=1 seed=0\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_records_that_cannot_be_read_give_no_estimate(tmp_path):
    (one,) = jobs(["method=student", f"outputs={tmp_path}"])
    finish(one)
    RunFolder(one.directory).record.write_text("{")
    assert estimates.Estimates([str(tmp_path)]).seconds(one) is None
