"""Real runs that are killed and resumed, in the real tracking services."""

import json
import os
import struct
import subprocess
import sys

from helpers.command import run
from helpers.kills import attempt

DIARY = ["+callbacks.diary._target_=helpers.observers.Diary", "+callbacks.diary.fail_in=2"]


def interrupted(tmp_path, *lines):
    """Does a run that fails in its third epoch, goes on, and sees five in all."""
    diary = [*DIARY, f"+callbacks.diary.path={tmp_path}/diary"]
    command = ["method=student", "epochs=5", "hardware=cpu", *lines, *diary, f"outputs={tmp_path}/outputs"]
    assert [attempt(command), attempt(command)] == [1, 0]
    (folder,) = (tmp_path / "outputs").glob("digits/tiny/student/*/*")
    return folder


def test_weights_and_biases_sees_one_run_with_each_epoch_once(tmp_path):
    folder = interrupted(tmp_path, "callbacks=wandb", "callbacks.wandb.tracker.mode=offline")
    logged = [record for path in sorted(folder.rglob("*.wandb")) for record in wandb_records(path)]
    assert {record.run.run_id for record in logged if record.HasField("run")} == {folder.name.rpartition("-")[2]}
    history = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in logged
        if record.HasField("history")
    ]
    assert [line["epoch/epoch"] for line in history] == [0, 1, 2, 3, 4]
    assert {"epoch/loss", "epoch/task", "epoch/learning_rate", "epoch/stage", "epoch/test_accuracy"} <= set(history[-1])


def wandb_records(path):
    """Yields the records of an offline run: LevelDB's log format, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, record = path.read_bytes(), 7, b""
    while place < len(content):
        _, length, kind = struct.unpack_from("<IHB", content, place)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        place += left if (left := -place % 2**15) < 7 else 0
        if kind in (1, 4):  # complete, or the last part
            yield Record.FromString(record)
            record = b""


def test_mlflow_sees_one_run_with_each_epoch_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MLflow keeps files there
    store = f"sqlite:///{tmp_path}/mlflow.db"
    folder = interrupted(tmp_path, "callbacks=mlflow", f"callbacks.mlflow.tracker.tracking_uri={store}")
    # In another process: this one makes warnings errors, and the libraries of MLflow warn.
    script = (
        "import json, mlflow\n"
        "(run,) = mlflow.search_runs(search_all_experiments=True, output_format='list')\n"
        "of = lambda name: mlflow.MlflowClient().get_metric_history(run.info.run_id, name)\n"
        "steps = {name: [point.step for point in of(name)] for name in run.data.metrics}\n"
        "print(json.dumps([run.info.status, run.data.tags['kd_bench.digest'], run.data.params['epochs'], steps]))\n"
    )
    environment = os.environ | {"MLFLOW_TRACKING_URI": store}
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    status, digest, epochs, steps = json.loads(shown.stdout.splitlines()[-1])
    assert (status, digest, epochs) == ("FINISHED", folder.name.rpartition("-")[2], "5")
    names = ("loss", "task", "learning_rate", "stage", "test_accuracy")
    assert steps == {name: [0, 1, 2, 3, 4] for name in names}


def test_runs_that_start_at_once_share_a_new_database_of_mlflow(tmp_path):
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    store = f"callbacks.mlflow.tracker.tracking_uri=sqlite:///{tmp_path}/mlflow.db"
    several = ["-m", *launcher, "method=student", "seed=0,1", "epochs=1", "callbacks=mlflow", store]
    done = run(*several, outputs=tmp_path / "outputs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
