"""What only the run itself can refuse, from the command line: one paragraph with the key and the remedy."""

import json

import pytest
from command import run

REFUSED = {
    "hardware=gpu": ["hardware.replicas=1: TensorFlow sees 0 GPUs here", "try hardware=cpu"],
    "model.student.stem_stride=16": ["(8, 8, 1) are too small for the strides [16, ", "Choose larger images"],
    "fraction=0.002": ["fraction=0.002 keeps 3 of 1297 images", "the smallest fraction with every class is"],
    "batch_size=2000": ["batch_size=2000", "there are only 1297 training images"],
    "dataset.data_dir=/dev/null": ["/dev/null", "dataset.data_dir="],
    "dataset.train_split=validation": ["dataset.train_split=validation", "splits train, test"],
    "dataset.padding=8": ["dataset.padding=8", "8x8"],
}


@pytest.mark.parametrize("argument", REFUSED)
def test_refused_by_the_run(argument, tmp_path):
    done = run("method=student", argument, "epochs=1", outputs=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
    error = done.stderr.partition("error: ")[2]
    assert all(part in error for part in REFUSED[argument]), error
    assert len(done.stderr) < 1500
    (path,) = tmp_path.rglob("result.json")
    record = json.loads(path.read_text())
    assert record["status"] == "failed" and record["reason"].split(": ", 1)[1] in error
    assert sorted(file.name for file in path.parent.iterdir()) == [".holder", ".lock", "config.yaml", "result.json"]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["hardware=cpu_replicas", "batch_size=63"], "batch_size=63: 2 replicas"),
        (["hardware=cpu", "hardware.replicas=3"], "batch_size=64: 3 replicas"),
        (["hardware=cpu_replicas", "teacher.batch_size=33"], "teacher.batch_size=33: 2 replicas"),
        (["checkpoint_every=0"], "checkpoint_every=0: must be a whole number at least 1 or null"),
    ],
)
def test_refused_before_tensorflow_is_loaded(arguments, key, tmp_path):
    done = run(*arguments, outputs=tmp_path / "outputs")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {key}")
    assert not list(tmp_path.iterdir())
