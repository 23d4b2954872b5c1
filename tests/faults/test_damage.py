"""What is cut short or altered on disk is named, and never used."""

import json
import shutil
from dataclasses import replace

import keras
import pytest
from command import SHORT, aggregate, records, run
from damage import cut, flip
from faults.attempts import InWrite, attempt

from kd_bench.networks.wide_resnet import wide_resnet
from kd_bench.runs.record import checksums, read_record, write_record
from kd_bench.training.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("finished")
    assert run("method=soft_logits", *SHORT, outputs=outputs).returncode == 0
    return outputs


@pytest.fixture
def outputs(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "outputs")
    return tmp_path / "outputs"


def directory(outputs, method):
    (path,) = outputs.glob(f"digits/tiny/{method}/*/*/")
    return path


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl"])
def test_a_damaged_run_is_named_and_done_again(outputs, name, damage):
    path = directory(outputs, "soft_logits") / name
    damage(path)
    done = run("method=soft_logits", *SHORT, outputs=outputs)
    assert done.returncode == 0, done.stderr
    assert "1 run: 0 done before, 1 to do (1 again, being damaged)." in done.stdout
    assert f"{path}: " in done.stderr and "the run is done again" in done.stderr
    assert "teacher" not in done.stdout.partition("starts")[0].partition("soft_logits")[0]
    again = run("method=soft_logits", *SHORT, outputs=outputs)
    assert again.stdout == "1 run: 1 done before, 0 to do.\n"


def test_the_table_names_an_altered_record_and_leaves_it_out(outputs):
    path = directory(outputs, "soft_logits") / "result.json"
    accuracy = json.loads(path.read_text())["scores"]["last_accuracy"]
    path.write_text(path.read_text().replace(f'"last_accuracy": {accuracy}', '"last_accuracy": 0.9999'))
    table = aggregate(outputs=outputs)
    assert table.returncode == 1
    assert f"unreadable: {path}: is not what was written (its checksum differs)" in table.stderr
    assert "99.99" not in table.stdout


def test_every_file_can_be_verified(outputs):
    assert aggregate("--verify", outputs=outputs).returncode == 0
    path = directory(outputs, "soft_logits") / "predictions.npy"
    flip(path)
    verified = aggregate("--verify", outputs=outputs)
    assert verified.returncode == 1
    assert f"altered: {path}" in verified.stderr


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.unlink()])
def test_a_damaged_teacher_is_named_and_trained_again(outputs, damage):
    path = directory(outputs, "teacher") / "network.keras"
    damage(path)
    done = run("method=at", *SHORT, outputs=outputs)
    assert done.returncode == 0, done.stderr
    assert f"{path}: is " in done.stderr
    assert "teacher fraction=1 seed=0 epochs=2: starts" in done.stdout
    assert records(outputs)["at", 1.0, 0]["status"] == "done"


def test_a_run_has_one_teacher_from_its_first_step_to_its_last(outputs):
    arguments = ["method=rkd", *SHORT]
    assert attempt([*arguments, f"outputs={outputs}"], InWrite(3, "half")) < 0
    assert list(directory(outputs, "rkd").rglob("*.npz"))
    flip(directory(outputs, "teacher") / "network.keras")
    done = run(*arguments, outputs=outputs)
    assert done.returncode == 0, done.stderr
    assert "its teacher was trained again; the run starts over" in done.stderr
    assert "rkd fraction=1 seed=0 teacher.epochs=2 epochs=2: starts" in done.stdout


def test_a_run_is_of_one_code_from_its_first_step_to_its_last(tmp_path):
    arguments = ["method=student", "epochs=4", "hardware=cpu"]
    assert attempt([*arguments, f"outputs={tmp_path}"], InWrite(3, "half")) < 0
    (checkpoints,) = tmp_path.rglob("checkpoints")
    kept = Checkpoints(checkpoints.parent)
    latest = kept.latest()
    variables = [keras.Variable(value) for value in latest.values]
    kept.save(replace(latest.position, code="0" * 16), variables)
    done = run(*arguments, outputs=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "its code was changed; the run starts over" in done.stderr
    assert "student fraction=1 seed=0 epochs=4: starts" in done.stdout


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path):
    arguments = ["method=student", "epochs=6", "hardware=cpu"]
    assert attempt([*arguments, f"outputs={tmp_path}"], InWrite(5, "half")) < 0
    newest = max(tmp_path.rglob("*.npz"))
    assert "-main-60-" in newest.name
    flip(newest)
    done = run(*arguments, outputs=tmp_path)
    assert done.returncode == 0
    assert f"{newest}: is damaged: its checksum is not the one in its name" in done.stderr
    assert "goes on from stage main, step 40" in done.stdout


def test_metrics_altered_behind_a_runs_back_are_written_again(tmp_path):
    arguments = ["method=student", "epochs=4", "hardware=cpu"]
    assert attempt([*arguments, f"outputs={tmp_path}"], InWrite(4, "half")) < 0
    (path,) = tmp_path.rglob("metrics.jsonl")
    path.write_text(path.read_text().replace('"test_accuracy": 0.', '"test_accuracy": 0.9'))
    done = run(*arguments, outputs=tmp_path)
    assert done.returncode == 0
    assert f"{path}: was altered" in done.stderr
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]


def test_another_networks_checkpoint_is_refused(tmp_path):
    arguments = ["method=student", "epochs=4", "hardware=cpu"]
    assert attempt([*arguments, f"outputs={tmp_path}/one"], InWrite(4, "half")) < 0
    other = [*arguments, "model.student.width=2", f"outputs={tmp_path}/other"]
    assert attempt(other, InWrite(4, "half")) < 0
    (here,) = tmp_path.glob("one/*/*/*/*/*/checkpoints")
    (there,) = tmp_path.glob("other/*/*/*/*/*/checkpoints")
    shutil.rmtree(here)
    shutil.copytree(there, here)
    done = run(*arguments, outputs=tmp_path / "one")
    assert done.returncode == 1
    assert "variables of another network or method" in done.stderr
    assert f"delete the folder {here} to start over" in done.stderr
    assert list(here.glob("*.npz"))


def test_a_teacher_of_other_images_is_refused(outputs):
    """The data behind a name changed: the same config, other images."""
    path = directory(outputs, "teacher") / "result.json"
    record = read_record(path)
    write_record(path.parent, replace(record, setting=replace(record.setting, data="0" * 16)))
    done = run("method=at", *SHORT, outputs=outputs)
    assert done.returncode == 1
    assert f"dataset.data_dir: these images (fingerprint {record.setting.data}) are not those" in done.stderr
    assert records(outputs)["at", 1.0, 0]["status"] == "failed"


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
def test_a_teacher_of_another_number_of_classes_is_refused(outputs, tmp_path):
    teacher = directory(outputs, "teacher")
    other = wide_resnet((8, 8, 1), 7, depth=10, width=1, stem_channels=8, stem_stride=1)
    other.save(teacher / "network.keras")
    record = read_record(teacher / "result.json")
    write_record(teacher, replace(record, files=checksums(teacher, record.files)))
    done = run("method=at", *SHORT, outputs=outputs)
    assert done.returncode == 1
    assert "is of another network than this run's teacher" in done.stderr
    assert "number of classes" in done.stderr and str(teacher) in done.stderr
    assert "Traceback" not in done.stderr
