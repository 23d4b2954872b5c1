"""Whole runs, from the command line to the record."""

import json
import os

import pytest
from helpers.command import SHORT, aggregate, records, run
from helpers.compare import metrics
from helpers.kills import attempt
from helpers.observers import scalars


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


def test_two_replicas_train_in_two_stages(tmp_path):
    short = ["epochs=1", "teacher.epochs=1", "method.paraphraser_min_steps=1"]
    command = ["method=ft", "hardware=cpu_replicas", "callbacks=[csv,tensorboard]", *short, f"outputs={tmp_path}"]
    assert attempt(command) == 0
    assert records(tmp_path)["ft", 1.0, 0]["setting"]["replicas"] == 2
    (folder,) = tmp_path.glob("digits/tiny/ft/*/*")
    rows = (folder / "logs/epochs.csv").read_text().splitlines()
    assert len(rows) == 1 + len(metrics(folder))
    assert len(scalars(folder / "logs/tensorboard")["epoch_loss"]) == len(metrics(folder))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains(precision, tmp_path):
    short = ["dataset.train_split='train[:20%]'", "epochs=2", "teacher.epochs=2"]  # float16 is slow on a CPU
    assert attempt(["method=fsp", f"precision={precision}", *short, f"outputs={tmp_path}"]) == 0
    record = records(tmp_path)["fsp", 1.0, 0]
    assert record["setting"]["precision"] == precision
    assert record["scores"]["teacher_accuracy"] > 0.1
    assert record["scores"]["negative_log_likelihood"] < 10


def write_own_method(folder, loss):
    """Writes a method outside of the package, and returns what makes a command find it."""
    (folder / "conf" / "method").mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(
        "from kd_bench.checks import NonNegative\n"
        "from kd_bench.distillers.base import Distiller\n"
        "import tensorflow as tf\n"
        "class Mine(Distiller):\n"
        "    def __init__(self, student, teacher, *, weight: NonNegative):\n"
        "        super().__init__(student, teacher)\n"
        "        self.weight = weight\n"
        "    def distillation_loss(self, batch):\n"
        "        gap = batch.student['logits'] - batch.teacher['logits']\n"
        f"        return self.weight * tf.reduce_mean({loss})\n"
    )
    (folder / "conf/method/mine.yaml").write_text("_target_: mine.Mine\nname: mine\nlabel: Mine\nweight: 0.1\n")
    return f"hydra.searchpath=[file://{folder}/conf]", os.environ | {"PYTHONPATH": str(folder)}


def test_a_method_from_outside_the_package_is_done_again_when_it_has_changed_and_that_is_asked(tmp_path):
    search_path, environment = write_own_method(tmp_path, "gap**2")
    command = [search_path, "method=mine", *SHORT]

    def started(*more):
        return run(*command, *more, outputs=tmp_path / "outputs", env=environment)

    done = started()
    assert done.returncode == 0, done.stderr[-3000:]
    before = records(tmp_path / "outputs")["mine", 1.0, 0]
    assert before["run"]["variant"] == {"epochs": 2, "teacher.epochs": 2}
    assert "method.wait" in started("method.wait=3").stderr

    write_own_method(tmp_path, "0 * gap")
    assert "1 run: 1 done before (1 by other code; redo=true repeats them), 0 to do." in started().stdout
    assert "1 run: 0 done before, 1 to do (1 made by other code)." in started("redo=true").stdout
    after = records(tmp_path / "outputs")["mine", 1.0, 0]
    assert after["setting"]["code"] != before["setting"]["code"]
    assert after["run"]["digest"] == before["run"]["digest"]
    assert "1 run: 1 done before, 0 to do." in started("redo=true").stdout
