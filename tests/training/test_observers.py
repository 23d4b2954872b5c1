import csv
import json
import shutil
from types import SimpleNamespace

import pytest
from helpers.command import aggregate
from helpers.compare import metrics, outcome
from helpers.kills import attempt
from helpers.observers import scalars

from kd_bench.config import compose
from kd_bench.distillers.base import Stage
from kd_bench.errors import DamageError
from kd_bench.runs.folder import RunFolder
from kd_bench.training.loop import Plan
from kd_bench.training.observers import CallbackError, Observers, observing

RUN = ["method=fitnet", "epochs=8", "teacher.epochs=1", "fraction=0.1", "hardware=cpu", "checkpoint_every=50"]
DIARY = "+callbacks.diary._target_=helpers.observers.Diary"


def run_folder(outputs, method="fitnet"):
    return next(outputs.glob(f"digits/tiny/{method}/*/*"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a run that was killed in epoch 5, failed in epoch 7, then ended; and the lines of its diary."""
    folder = tmp_path_factory.mktemp("killed")
    diary = [DIARY, f"+callbacks.diary.path={folder}/diary", "+callbacks.diary.kill_in=5", "+callbacks.diary.fail_in=7"]
    command = [*RUN, "callbacks=[csv,tensorboard]", *diary, f"outputs={folder}/outputs"]
    assert attempt(["method=teacher", "epochs=1", "hardware=cpu", f"outputs={folder}/outputs"]) == 0
    assert [attempt(command), attempt(command)] == [-9, 1]
    record = json.loads((run_folder(folder / "outputs") / "result.json").read_text())
    assert record["reason"] == "CallbackError: callbacks.diary: OSError: the disk is gone"
    assert attempt(command) == 0
    return run_folder(folder / "outputs"), (folder / "diary").read_text().splitlines()


def test_a_callback_sees_each_epoch_once_over_stages_and_attempts(killed):
    _, diary = killed
    stages = [f"{epoch} stage {1 if epoch < 2 else 2}" for epoch in range(10)]
    failed = ["begin", *stages[5:7], "fail", "end"]
    assert diary == ["begin", *stages[:5], "kill", *failed, "begin", *stages[7:], "end"]


def test_a_resumed_run_goes_on_with_its_csv_file(killed):
    folder, _ = killed
    with (folder / "logs/epochs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(10)]
    for row, line in zip(rows, metrics(folder), strict=True):
        assert set(row) == {"epoch", "stage", "learning_rate", "loss", "hint", "task", "test_accuracy"}
        for name in row.keys() - {"epoch", "stage"}:
            assert row[name] == str(line.get(name, "NA")), (row, line)


def test_a_resumed_run_goes_on_with_its_event_files(killed):
    folder, _ = killed
    lines = metrics(folder)
    found = scalars(folder / "logs/tensorboard")
    assert found["epoch_stage"] == [(epoch, 1 if epoch < 2 else 2) for epoch in range(10)]
    for name in ("loss", "hint", "task", "learning_rate", "test_accuracy"):
        logged = {epoch: line[name] for epoch, line in enumerate(lines) if name in line}
        assert [step for step, _ in found[f"epoch_{name}"]] == list(logged)
        assert dict(found[f"epoch_{name}"]) == pytest.approx(logged)


def test_callbacks_change_no_result_and_no_check_complains(killed, tmp_path):
    folder, _ = killed
    shutil.copytree(folder.parents[3] / "teachers", tmp_path / "digits/teachers")
    assert attempt([*RUN, f"outputs={tmp_path}"]) == 0
    assert metrics(run_folder(tmp_path)) == metrics(folder)
    assert outcome(run_folder(tmp_path)) == outcome(folder)
    checked = aggregate("--verify", outputs=folder.parents[4])
    assert checked.returncode == 0, checked.stdout + checked.stderr
    # Done before, so nothing is trained, and a callback that would fail is not even made.
    assert attempt([*RUN, DIARY, "+callbacks.diary.path=/nowhere/diary", f"outputs={tmp_path}"]) == 0


def opened(tmp_path, *own):
    """Opens an own callback, as a run does before its first stage."""
    lines = [f"+callbacks.own.{one}" for one in own]
    (config,) = compose.jobs(["method=student", "epochs=3", *lines, f"outputs={tmp_path}"])
    folder = RunFolder(tmp_path)
    return observing(config, folder, Plan(3, 1, 1, False), [Stage("main", {}, [])], resumed=False)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (["_target_=pathlib.Path"], "pathlib.Path is not a Keras callback"),
        (["_target_=keras.callbacks.ModelCheckpoint", "filepath=student.txt"], "ValueError"),
    ],
)
def test_what_is_no_callback_is_refused_by_its_name(own, reason, tmp_path):
    with pytest.raises(CallbackError, match=f"^callbacks.own: .*{reason}"), opened(tmp_path, *own):
        pass


@pytest.mark.parametrize("content", [b"", b"{\xff", b"[]", b'{"own": null}'])
def test_a_damaged_file_of_seen_epochs_is_named(content, tmp_path):
    path = tmp_path / "logs/epochs.json"
    with opened(tmp_path, "_target_=keras.callbacks.TerminateOnNaN"):
        path.write_bytes(content)
        with pytest.raises(DamageError, match=f"^{path}: is damaged: .* Delete it"):
            Observers({}, {}, path)


def test_a_callback_must_not_stop_the_training(tmp_path):
    model = SimpleNamespace(stop_training=False, stages=list, own_metrics=[])
    stopping = ["_target_=keras.callbacks.EarlyStopping", "monitor=loss", "patience=0"]
    with pytest.raises(CallbackError, match="it stops the training"), opened(tmp_path, *stopping) as own:
        own.begin(model)
        own.end_epoch(0, {"loss": 1.0})
        own.end_epoch(1, {"loss": 2.0})


def test_a_run_that_starts_over_starts_its_logs_over(tmp_path):
    csv_file = ["_target_=keras.callbacks.CSVLogger", 'filename="{logs}/{digest}.csv"']
    with opened(tmp_path, *csv_file) as own:
        own.begin(SimpleNamespace(stop_training=False, stages=list, own_metrics=[]))
        own.end_epoch(0, {"loss": 1.0})
    (written,) = (tmp_path / "logs").glob("*.csv")
    assert len(written.stem) == 16
    with opened(tmp_path, *csv_file):
        assert not any((tmp_path / "logs").iterdir())
