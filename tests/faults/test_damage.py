"""What is cut short or altered on disk is named, and never used: the whole way, from the command to the record.

What each file's damage does is tested without processes in tests/runs.
"""

import shutil

import pytest
from helpers.command import SHORT, aggregate, records, run
from helpers.damage import flip
from helpers.kills import InWrite, attempt


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("finished")
    assert attempt(["method=soft_logits", *SHORT, f"outputs={outputs}"]) == 0
    return outputs


@pytest.fixture
def outputs(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "outputs")
    return tmp_path / "outputs"


def directory(outputs, method):
    (path,) = outputs.glob("digits/teachers/*/*/" if method == "teacher" else f"digits/tiny/{method}/*/*/")
    return path


def test_a_damaged_run_is_named_and_done_again(outputs):
    path = directory(outputs, "soft_logits") / "metrics.jsonl"
    flip(path)
    done = run("method=soft_logits", *SHORT, outputs=outputs)
    assert done.returncode == 0, done.stderr
    assert "1 run: 0 done before, 1 to do (1 damaged)." in done.stdout
    assert f"{path}: " in done.stderr and "the run is done again" in done.stderr
    assert "teacher fraction" not in done.stdout
    again = run("method=soft_logits", *SHORT, outputs=outputs)
    assert again.stdout.startswith("1 run: 1 done before, 0 to do.\nResults: ")


def test_every_file_can_be_verified(outputs):
    path = directory(outputs, "soft_logits") / "predictions.npy"
    flip(path)
    verified = aggregate("--verify", outputs=outputs)
    assert verified.returncode == 1
    assert f"altered: {path}" in verified.stderr


def test_a_damaged_teacher_is_named_and_trained_again_and_its_students_start_over(outputs):
    arguments = ["method=rkd", *SHORT]
    assert attempt([*arguments, f"outputs={outputs}"], InWrite(3, "half")) < 0
    assert list(directory(outputs, "rkd").rglob("*.safetensors"))
    path = directory(outputs, "teacher") / "network.keras"
    flip(path)
    done = run(*arguments, outputs=outputs)
    assert done.returncode == 0, done.stderr
    assert f"{path}: is " in done.stderr
    assert "teacher fraction=1 seed=0 epochs=2: starts" in done.stdout
    assert "its teacher was trained again; the run starts over" in done.stderr
    assert "rkd fraction=1 seed=0 teacher.epochs=2 epochs=2: starts" in done.stdout
    assert records(outputs)["rkd", 1.0, 0]["status"] == "done"


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path):
    arguments = ["method=student", "epochs=6", "hardware=cpu"]
    assert attempt([*arguments, f"outputs={tmp_path}"], InWrite(5, "half")) < 0
    newest = max(tmp_path.rglob("*.safetensors"))
    assert "-main-60-" in newest.name
    flip(newest)
    done = run(*arguments, outputs=tmp_path)
    assert done.returncode == 0
    assert f"{newest}: is damaged: its checksum is not the one in its name" in done.stderr
    assert "goes on from stage main, step 40" in done.stdout
