"""A sweep, from the command line to the table. The fixture `sweep` starts it."""

import json

import keras
import numpy as np
import pytest
from helpers.command import SHORT, aggregate, records, run
from helpers.compare import assert_same_run

from kd_bench.config import identity
from kd_bench.data.datasets import load_dataset


def test_a_sweep_makes_a_record_a_run(sweep):
    outputs, _ = sweep
    found = records(outputs)
    students = {(m, f, 0) for m in ("student", "fitnet", "at") for f in (1.0, 0.1)}
    assert found.keys() == students | {("teacher", 1.0, 0)}
    assert all(record["status"] == "done" for record in found.values())


def test_what_is_printed_names_the_data_and_has_no_bar_in_a_file(sweep):
    first, second, *lines = sweep[1].splitlines()
    assert first == "7 runs: 0 done before, 7 to do."
    assert second == (
        "digits (experiment=digits): 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), 1297 training and 500 test images of "
        "8x8 pixels in 1 channel."
    )
    assert sum(line.endswith("starts") for line in lines) == 7
    assert "%|" not in sweep[1]


def test_records_say_what_happened(sweep):
    found = records(sweep[0])
    fitnet = found["fitnet", 0.1, 0]
    assert fitnet["cost"]["train_images"] == 130
    assert fitnet["cost"]["steps"] == {"hint": 20, "main": 40}
    assert fitnet["cost"]["parameters"] == found["student", 1.0, 0]["cost"]["parameters"]
    assert fitnet["scores"]["teacher_accuracy"] == found["teacher", 1.0, 0]["scores"]["last_accuracy"]
    assert fitnet["scores"]["teacher_digest"] == found["teacher", 1.0, 0]["run"]["digest"]
    assert 0 < fitnet["scores"]["agreement"] <= 1
    assert found["student", 0.1, 0]["scores"]["agreement"] is None
    assert fitnet["setting"]["precision"] == "float32"


def test_a_record_holds_every_score_and_what_it_was_made_with(sweep):
    record = records(sweep[0])["at", 1.0, 0]
    absent = {name for name, value in record["scores"].items() if value is None}
    assert absent == {"peer_accuracy"}
    assert record["setting"]["effective"] == {"method.beta": 62.5}
    assert len(record["setting"]["code"]) == 16
    assert identity.digest(record["config"]) == record["run"]["digest"]


def test_metrics_have_a_line_an_epoch(sweep):
    (path,) = sweep[0].glob("digits/*/fitnet/fraction=0.1/*/metrics.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["stage"], line["epoch"]) for line in lines] == [("hint", 1), ("main", 1), ("main", 2)]
    assert "hint" in lines[0] and "test_accuracy" not in lines[0]
    assert lines[0]["learning_rate"] == pytest.approx(0.1)
    assert "test_accuracy" in lines[-1]


def test_the_saved_student_takes_images_as_they_are(sweep):
    (path,) = sweep[0].glob("digits/*/fitnet/fraction=0.1/*/network.keras")
    test = load_dataset("digits", padding=1).test
    answers = np.argmax(keras.saving.load_model(path).predict(test.pixels, verbose=0), axis=1)
    accuracy = records(sweep[0])["fitnet", 0.1, 0]["scores"]["last_accuracy"]
    assert np.mean(answers == test.labels) == pytest.approx(accuracy)
    np.testing.assert_array_equal(answers, np.load(path.with_name("predictions.npy")))


def test_the_table_reads_the_sweep(sweep):
    done = aggregate("--format", "json", outputs=sweep[0])
    assert done.returncode == 0
    cells = json.loads(done.stdout)
    at = next(cell for cell in cells if "AT" in cell["row"] and cell["fraction"] == 0.1)
    assert at["mean"] == pytest.approx(records(sweep[0])["at", 0.1, 0]["scores"]["last_accuracy"])


def test_started_again_nothing_is_done_twice(sweep):
    outputs, _ = sweep
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*") if path.is_file()}
    done = run("-m", "method=student,fitnet", "fraction=1.0,0.1", *SHORT, outputs=outputs)
    assert done.returncode == 0
    assert done.stdout.startswith("4 runs: 4 done before, 0 to do.\nResults: in ")
    assert before == {path: path.stat().st_mtime_ns for path in outputs.rglob("*") if path.is_file()}


def test_two_at_a_time_give_the_same_results(sweep, tmp_path):
    together = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    done = run("-m", "method=at,fitnet", *together, *SHORT, outputs=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    for method in ("at", "fitnet"):
        (run_directory,) = tmp_path.glob(f"digits/tiny/{method}/*/*")
        assert_same_run(run_directory, sweep[0] / run_directory.relative_to(tmp_path))
