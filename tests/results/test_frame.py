import shutil
import subprocess
import sys

import pandas as pd
import pytest
from helpers.published import DIGITS
from helpers.records import folder_of, make_record, make_seeds, write_run

from kd_bench.results import load_curves, load_runs
from kd_bench.results.frame import read_runs, split_repeats
from kd_bench.runs.folder import find_runs


def test_a_run_is_a_row_with_everything_that_its_record_knows(write_outputs):
    record = make_record("AT", 0.93, variant={"method.beta": 5}, steps={"hint": 10, "main": 20}, effective={"b": 2.0})
    outputs = write_outputs(record)
    (run,) = load_runs(outputs).to_dict("records")
    expected = {
        "source": outputs.as_posix(),
        "folder": folder_of(record),
        "status": "done",
        "dataset": "digits",
        "label": "AT",
        "fraction": 1.0,
        "seed": 0,
        "last_accuracy": 0.93,
        "teacher_accuracy": 0.98,
        "steps": 30,
        "steps_by_stage": {"hint": 10, "main": 20},
        "seconds": 12.5,
        "digest": record.run.digest,
        "protocol": record.run.protocol,
        "code": "c0de" * 4,
        "data": "da7a" * 4,
        "revision": "0f3c" * 10,
        "dirty": False,
        "processor": "i486",
        "effective": {"b": 2.0},
        "variant": {"method.beta": 5},
        "config.method.beta": 5,
        "config.method._target_": "kd_bench.distillers.at",
        "config.model.student.depth": 8,
        "config.epochs": 30,
    }
    assert {key: run[key] for key in expected} == expected


def test_numbers_are_numbers_even_where_none_is_known(write_outputs):
    runs = load_runs(write_outputs(make_record("AT", failed="NaN")))
    assert {str(runs[name].dtype) for name in ("last_accuracy", "agreement", "training_seconds")} == {"float64"}
    assert {str(runs[name].dtype) for name in ("seed", "steps", "parameters", "best_epoch")} == {"Int64"}


def test_a_hyper_parameter_that_only_some_runs_have_keeps_its_type(write_outputs):
    settings = {"method.size": 5, "method.flip": True, "method.rate": 0.5}
    runs = load_runs(write_outputs(make_record("AT", settings=settings), make_record("AB")))
    assert runs["config.method.size"].dropna().tolist() == [5]
    assert [str(runs[f"config.method.{name}"].dtype) for name in ("size", "flip", "rate")] == [
        *("Int64", "boolean", "float64")
    ]


def test_the_hyper_parameters_may_be_left_as_they_are(write_outputs):
    runs = load_runs(write_outputs(make_record("AT")), hyper_parameters=False)
    assert runs["config"][0]["epochs"] == 30
    assert not [name for name in runs if name.startswith("config.")]


def test_several_folders_are_read_and_a_run_in_both_counts_once(write_outputs):
    first = write_outputs(make_record("AT"), make_record("AT", seed=1), name="first")
    second = write_outputs(make_record("AT"), make_record("AT", seed=2), name="second")
    assert sorted(load_runs(first, second)["seed"]) == [0, 1, 2]


def test_runs_are_found_finished_or_not_and_hidden_folders_are_not_runs(tmp_path):
    for name in ("b/result.json", "b/config.yaml", "a/config.yaml", "a/.hydra/config.yaml", "c/other.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [(run.path, done) for run, done in find_runs(tmp_path)] == [(tmp_path / "a", False), (tmp_path / "b", True)]


def test_symbolic_links_are_followed_and_a_loop_ends(write_outputs, tmp_path):
    machine = write_outputs(make_record("AT"), name="machine")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "machine").symlink_to(machine)
    (machine / "loop").symlink_to(outputs)
    assert list(load_runs(outputs)["label"]) == ["AT"]


def test_a_record_that_cannot_be_read_is_warned_of(write_outputs):
    outputs = write_outputs(make_record("AT"), make_record("AB"))
    next(outputs.glob("*/*/ab/*/*/result.json")).write_text("{")
    with pytest.warns(UserWarning, match=r"left out: .*ab.*result\.json"):
        assert list(load_runs(outputs)["label"]) == ["AT"]


def test_of_repeats_the_one_that_is_done_and_finished_last_counts(make_runs):
    runs = make_runs(
        make_record("AT", 0.7, finished="2026-01-01T00:00:00+00:00"),
        make_record("AT", 0.8, finished="2026-01-02T00:00:00+00:00"),
        make_record("AT", failed="NaN", finished="2026-01-03T00:00:00+00:00", data=None),
        make_record("AT", 0.9, seed=1),
    )
    kept, repeats = split_repeats(runs)
    assert kept["last_accuracy"].tolist() == [0.8, 0.9]
    assert repeats["status"].tolist() == ["done", "failed"]


def test_a_copy_is_no_repeat(make_runs):
    kept, repeats = split_repeats(make_runs(make_record("AT"), make_record("AT")))
    assert (len(kept), len(repeats)) == (1, 0)


@pytest.mark.parametrize("kind", ["code", "data"])
def test_runs_of_other_code_or_data_are_no_repeats(make_runs, kind):
    kept, _ = split_repeats(make_runs(make_record("AT"), make_record("AT", **{kind: "b" * 16})))
    assert len(kept) == 2


def test_learning_curves_are_the_test_accuracy_per_epoch(tmp_path):
    write_run(tmp_path, make_record("AT"), curve=[0.5, 0.9])
    write_run(tmp_path, make_record("AB"))
    runs = load_runs(tmp_path)
    curves = load_curves(runs).join(runs["label"])
    expected = pd.DataFrame({"epoch": [1, 2], "test_accuracy": [0.5, 0.9], "label": ["AT", "AT"]})
    pd.testing.assert_frame_equal(curves.reset_index(drop=True), expected, check_dtype=False)


def test_what_a_run_imports_is_free_of_pandas_and_what_derives_is_free_of_tensorflow():
    for module, unwanted in (("kd_bench.runs.record", {"pandas"}), ("kd_bench.results", {"tensorflow", "keras"})):
        code = f"import sys, {module}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not unwanted & set(done.stdout.split())


def test_a_record_in_the_folder_of_another_run_is_named_and_left_out(tmp_path):
    mine, other = (write_run(tmp_path, record) for record in make_seeds("AT", 0.8, 0.9))
    shutil.copy(mine / "result.json", other / "result.json")
    runs = read_runs([tmp_path])
    assert runs.frame["seed"].tolist() == [0]
    (problem,) = runs.unreadable
    assert problem.startswith(f"{other.as_posix()}/result.json: is the record of another run (")


def test_the_digest_of_a_teacher_is_completed_from_its_record():
    runs = load_runs(DIGITS)
    taught = runs["teacher_digest"].dropna()
    assert len(taught) and taught.isin(runs["digest"]).all()
