import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.command import records
from helpers.kills import attempt

from kd_bench.data import fashion_mnist
from kd_bench.data.datasets import load_dataset
from kd_bench.errors import DataError

FOLDER = Path(os.environ.get("KD_BENCH_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
real_files = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason=f"no {FOLDER}: install dataset-fashion-mnist, or set KD_BENCH_FASHION_MNIST to the folder of its files",
)
NAME = "t10k-labels-idx1-ubyte"


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes() + values.tobytes()


def write_small_files(folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> dict[str, np.ndarray]:
    """Writes four files of ten images and registers their digests in place of the real ones."""
    random, written = np.random.default_rng(0), {}
    for name in fashion_mnist.CONTENTS:
        values = random.integers(0, 256, (10, 28, 28), np.uint8) if "images" in name else np.arange(10, dtype=np.uint8)
        content = idx(values)
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
        monkeypatch.setitem(fashion_mnist.CONTENTS, name, hashlib.sha256(content).hexdigest())
        written[name] = values
    return written


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_become_the_set(tmp_path, monkeypatch, suffix):
    files = tmp_path / "files"
    files.mkdir()
    written = write_small_files(files, monkeypatch, suffix)
    dataset = load_dataset("fashion_mnist", data_dir=str(tmp_path / "data"), manual_dir=str(files))
    assert dataset.num_classes == 10
    order = np.argsort(dataset.train.labels)
    np.testing.assert_array_equal(dataset.train.pixels[order][..., 0], written["train-images-idx3-ubyte"])
    assert (tmp_path / "data/fashion_mnist/3.0.1").is_dir()


def test_a_missing_file_is_named_and_nothing_is_left_behind(tmp_path, monkeypatch):
    files = tmp_path / "files"
    files.mkdir()
    write_small_files(files, monkeypatch, ".gz")
    (files / f"{NAME}.gz").unlink()
    with pytest.raises(DataError, match=rf"dataset\.manual_dir=.*: has no {NAME}\.gz"):
        load_dataset("fashion_mnist", data_dir=str(tmp_path / "data"), manual_dir=str(files))
    assert not (tmp_path / "data/fashion_mnist/3.0.1").exists()


def test_other_contents_under_the_same_name_are_refused(tmp_path):
    (tmp_path / NAME).write_bytes(idx(np.zeros(10_000, np.uint8)))
    with pytest.raises(DataError, match=f"{NAME} is not Fashion-MNIST's"):
        fashion_mnist.read_idx(tmp_path, NAME)


def test_a_file_cut_short_is_refused(tmp_path):
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(bytes(1000))[:-9])
    with pytest.raises(DataError, match=rf"{NAME}\.gz cannot be read.*Copy it again"):
        fashion_mnist.read_idx(tmp_path, NAME)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", idx(np.zeros((2, 3), np.uint8))[:-1], b"\x00\x00\x08\x02\x00\x00"]
)
def test_what_is_not_idx_is_refused(content):
    with pytest.raises(DataError, match="Not an IDX file"):
        fashion_mnist.parse_idx(content)


@real_files
def test_the_real_files_have_the_right_shapes():
    shapes = {name: fashion_mnist.read_idx(FOLDER, name).shape for name in fashion_mnist.CONTENTS}
    assert list(shapes.values()) == [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]


@real_files
def test_the_real_set_is_prepared_and_a_student_trains_on_it(tmp_path):
    short = ["model=tiny", "method=student", "fraction=0.02", "budget=epochs", "epochs=1"]
    place = [f"dataset.manual_dir={FOLDER}", f"dataset.data_dir={tmp_path}"]
    assert attempt(["experiment=fashion_mnist", *short, *place, f"outputs={tmp_path}/outputs"]) == 0
    assert records(tmp_path / "outputs")["student", 0.02, 0]["cost"]["train_images"] == 1200
    dataset = load_dataset("fashion_mnist", data_dir=str(tmp_path), manual_dir=str(FOLDER))
    assert np.bincount(dataset.train.labels).tolist() == [6000] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    np.testing.assert_allclose(dataset.mean, [72.94], atol=0.01)
    np.testing.assert_allclose(dataset.std, [90.02], atol=0.01)
    again = load_dataset("fashion_mnist", data_dir=str(tmp_path))  # the standard builder reads what ours wrote
    np.testing.assert_array_equal(again.train.pixels, dataset.train.pixels)
