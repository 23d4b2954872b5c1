"""Whole runs, from the command line to the table, as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SHORT = ["epochs=2", "teacher.epochs=2", "batch_size=64", "hardware=cpu"]


def run(*arguments, outputs, env=None):
    command = [sys.executable, ROOT / "run.py", *arguments, f"outputs={outputs}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=env)


def aggregate(*arguments, outputs):
    command = [sys.executable, ROOT / "aggregate.py", "--outputs", outputs, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def records(outputs):
    found = [json.loads(path.read_text()) for path in sorted(Path(outputs).rglob("result.json"))]
    return {(record["run"]["method"], record["run"]["fraction"], record["run"]["seed"]): record for record in found}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("sweep")
    methods = "method=teacher,student,soft_logits,fitnet,at,fsp"
    done = run("-m", methods, "fraction=1.0,0.1", *SHORT, outputs=outputs)
    assert done.returncode == 0, done.stderr[-3000:]
    return outputs, done


def test_a_sweep_makes_a_record_a_run(sweep):
    outputs, _ = sweep
    found = records(outputs)
    students = {(m, f, 0) for m in ("student", "soft_logits", "fitnet", "at", "fsp") for f in (1.0, 0.1)}
    assert found.keys() == students | {("teacher", 1.0, 0)}
    assert all(record["status"] == "done" for record in found.values())


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


def test_metrics_have_a_line_an_epoch(sweep):
    (path,) = sweep[0].glob("digits/*/fitnet/fraction=0.1/*/metrics.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["stage"], line["epoch"]) for line in lines] == [("hint", 1), ("main", 1), ("main", 2)]
    assert "hint" in lines[0] and "test_accuracy" not in lines[0]
    assert lines[0]["learning_rate"] == pytest.approx(0.1)
    assert "test_accuracy" in lines[-1]


def test_the_exported_student_opens_without_this_package(sweep):
    (path,) = sweep[0].glob("digits/*/fitnet/fraction=0.1/*/network.keras")
    student = keras.saving.load_model(path)
    assert student(np.zeros((1, 8, 8, 1), np.float32))["logits"].shape == (1, 10)


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
    assert done.stdout == "4 runs: 4 done before, 0 to do.\n"
    assert before == {path: path.stat().st_mtime_ns for path in outputs.rglob("*") if path.is_file()}


def test_one_seed_gives_the_same_numbers_twice(tmp_path):
    for name in ("first", "second"):
        done = run("method=fitnet", "deterministic=true", *SHORT, outputs=tmp_path / name)
        assert done.returncode == 0, done.stderr[-3000:]
    first, second = (records(tmp_path / name)["fitnet", 1.0, 0] for name in ("first", "second"))
    assert first["scores"] == second["scores"]
    networks = [
        keras.saving.load_model(next((tmp_path / name).rglob("fitnet/*/*/network.keras")))
        for name in ("first", "second")
    ]
    for one, other in zip(networks[0].variables, networks[1].variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_failed_run_is_recorded_and_the_sweep_goes_on(tmp_path):
    rates = "optimizer.learning_rate=1e30,0.1"
    done = run("-m", "method=student", rates, *SHORT, outputs=tmp_path)
    assert done.returncode == 1
    assert "stage main" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    statuses = sorted(json.loads(path.read_text())["status"] for path in tmp_path.rglob("result.json"))
    assert statuses == ["done", "failed"]
    table = aggregate(outputs=tmp_path)
    assert table.returncode == 1
    assert "failed" in table.stdout


def test_two_replicas_train(tmp_path):
    done = run("method=at", "hardware=cpu_replicas", "epochs=1", "teacher.epochs=1", outputs=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert records(tmp_path)["at", 1.0, 0]["setting"]["replicas"] == 2


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains(precision, tmp_path):
    done = run("method=fsp", f"precision={precision}", *SHORT[:2], outputs=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    record = records(tmp_path)["fsp", 1.0, 0]
    assert record["setting"]["precision"] == precision
    assert record["scores"]["last_accuracy"] > 0.1


def test_a_method_from_outside_the_package(tmp_path):
    (tmp_path / "conf" / "method").mkdir(parents=True)
    (tmp_path / "mine.py").write_text(
        "from kd_bench.checks import NonNegative\n"
        "from kd_bench.distillers.base import Distiller\n"
        "import tensorflow as tf\n"
        "class Mine(Distiller):\n"
        "    def __init__(self, student, teacher, *, weight: NonNegative):\n"
        "        super().__init__(student, teacher)\n"
        "        self.weight = weight\n"
        "    def distillation_loss(self, batch):\n"
        "        gap = batch.student['logits'] - batch.teacher['logits']\n"
        "        return self.weight * tf.reduce_mean(gap**2)\n"
    )
    (tmp_path / "conf/method/mine.yaml").write_text("_target_: mine.Mine\nname: mine\nlabel: Mine\nweight: 0.1\n")
    search = f"hydra.searchpath=[file://{tmp_path}/conf]"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = run(search, "method=mine", *SHORT, outputs=tmp_path / "outputs", env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert records(tmp_path / "outputs")["mine", 1.0, 0]["run"]["overrides"] == {"epochs": 2, "teacher.epochs": 2}
    refused = run(search, "method=mine", "method.wait=3", outputs=tmp_path / "outputs", env=environment)
    assert "method.wait" in refused.stderr


FASHION_MNIST = Path(os.environ.get("KD_BENCH_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_trains_on_the_real_images(tmp_path):
    arguments = [
        "experiment=fashion_mnist",
        "method=student",
        "model=tiny",
        "fraction=0.02",
        "budget=epochs",
        "epochs=1",
    ]
    done = run(*arguments, f"dataset.manual_dir={FASHION_MNIST}", f"dataset.data_dir={tmp_path}/data", outputs=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert records(tmp_path)["student", 0.02, 0]["cost"]["train_images"] == 1200
