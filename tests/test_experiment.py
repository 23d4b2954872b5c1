"""Whole runs, from the command line to the record."""

import json
import os
from pathlib import Path

import pytest
from command import SHORT, aggregate, records, run
from compare import assert_same_run


def test_one_seed_gives_the_same_numbers_twice(tmp_path):
    for name in ("first", "second"):
        done = run("method=fitnet", "deterministic=true", *SHORT, outputs=tmp_path / name)
        assert done.returncode == 0, done.stderr[-3000:]
    assert_same_run(*(next((tmp_path / name).glob("digits/tiny/fitnet/*/*")) for name in ("first", "second")))


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


@pytest.mark.parametrize("method", ["at", "ft"])  # one stage, and two, the first at a constant rate
def test_two_replicas_train(method, tmp_path):
    done = run(f"method={method}", "hardware=cpu_replicas", "epochs=1", "teacher.epochs=1", outputs=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert records(tmp_path)[method, 1.0, 0]["setting"]["replicas"] == 2


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
