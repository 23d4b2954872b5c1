"""What a run predicted, from Python and as the documentation shows it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import kd_bench
from kd_bench import execution
from kd_bench.config.compose import jobs
from kd_bench.errors import BenchError, DamageError
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import read_record

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
DOCUMENTED = Path(kd_bench.__file__).parents[1] / "docs/predictions.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("predictions")
    (config,) = jobs(["method=student", "fraction=0.2", "epochs=2", "hardware=cpu", f"outputs={outputs}"])
    execution.run(config)
    return config.directory


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_their_accuracy_is_that_of_the_record(run):
    labels, predictions, class_names = kd_bench.load_predictions(run)
    assert class_names == tuple("0123456789")
    assert labels.dtype == predictions.dtype == np.int32
    assert (labels == predictions).mean() == pytest.approx(read_record(run / "result.json").scores.last_accuracy)


def test_the_documented_confusion_matrix(run, capsys):
    code = re.findall(r"```python\n(.*?)```", DOCUMENTED.read_text(), re.DOTALL)[0]
    names = {}
    exec(re.sub(r"load_predictions\(.*?\)", f"load_predictions({str(run)!r})", code, flags=re.DOTALL), names)
    labels, predictions, _ = kd_bench.load_predictions(str(run))
    assert names["confusion"].trace() == (labels == predictions).sum()
    assert names["confusion"].sum(axis=1).tolist() == np.bincount(labels).tolist()
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_a_deleted_network_is_not_needed(copy):
    copy.network.unlink()
    assert len(kd_bench.load_predictions(copy.path).predictions) == 500


def test_what_has_no_predictions_is_refused(copy, tmp_path):
    with pytest.raises(BenchError, match="is not the folder of a run"):
        kd_bench.load_predictions(tmp_path)
    content = copy.predictions.read_bytes()
    copy.predictions.write_bytes(content[:-4] + b"\x01\x00\x00\x00")
    with pytest.raises(DamageError, match="is not what the run wrote"):
        kd_bench.load_predictions(copy.path)
    copy.predictions.unlink()
    with pytest.raises(BenchError, match=r"predictions\.npy: is missing"):
        kd_bench.load_predictions(copy.path)


def test_own_images_have_the_names_of_their_folders(tmp_path, monkeypatch):
    import tensorflow as tf

    for name, level in (("cats", 0), ("dogs", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            png = tf.io.encode_png(np.full((8, 8, 3), level + number, np.uint8))
            (tmp_path / f"photos/{name}/{number}.png").write_bytes(png.numpy())
    monkeypatch.chdir(tmp_path)
    own = ["dataset=folder", "dataset.root=photos", "dataset.padding=1", "batch_size=8"]
    (config,) = jobs(["method=student", "epochs=1", "hardware=cpu", *own])
    execution.run(config)
    labels, _, class_names = kd_bench.load_predictions(config.directory)
    assert class_names == ("cats", "dogs")
    assert labels.tolist().count(0) == 2
