"""Images that stay on disk: the same batches, read when they are needed."""

import numpy as np
import pytest

from kd_bench.data.batches import evaluation_batches, training_batches
from kd_bench.data.datasets import load_dataset
from kd_bench.data.fractions import subset, take
from kd_bench.errors import DataError


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def both(data_dir):
    options = {"padding": 1, "flip": True, "data_dir": data_dir, "test_split": "test[:90%]"}
    return [load_dataset("digits", **options, streaming=streaming) for streaming in (False, True)]


def all_batches(dataset, images):
    training = training_batches(images, dataset, batch_size=32, seed=3, first_step=5, steps=15)
    evaluation = evaluation_batches(dataset.test, dataset, batch_size=100)
    return [*training.as_numpy_iterator(), *evaluation.as_numpy_iterator()]


@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_the_batches_are_those_from_memory(both, fraction):
    parts = [take(dataset.train, subset(dataset.train.labels, fraction, 0)) for dataset in both]
    assert [part.on_disk for part in parts] == [False, True]
    batches = [all_batches(dataset, part) for dataset, part in zip(both, parts, strict=True)]
    assert len(batches[0]) == len(batches[1]) > 10
    for (pixels, labels, *_), (other_pixels, other_labels, *_) in zip(*batches, strict=True):
        np.testing.assert_array_equal(pixels, other_pixels)
        np.testing.assert_array_equal(labels, other_labels)


def test_a_part_of_a_part_is_what_it_is_in_memory(both):
    taken = [take(take(dataset.train, np.array([9, 4, 7, 1])), np.array([2, 0])) for dataset in both]
    np.testing.assert_array_equal(taken[0].read(np.arange(2)), taken[1].read(np.arange(2)))
    np.testing.assert_array_equal(taken[1].labels, both[0].train.labels[[7, 9]])


def test_statistics_and_fingerprint_are_those_from_memory(both):
    memory, disk = both
    assert memory.fingerprint == disk.fingerprint
    np.testing.assert_array_equal(memory.mean, disk.mean)
    np.testing.assert_array_equal(memory.std, disk.std)


def test_it_is_decoded_once(both, data_dir, monkeypatch):
    fingerprint = both[1].fingerprint
    monkeypatch.setattr("kd_bench.data.datasets._blocks", None)
    again = load_dataset("digits", padding=1, data_dir=data_dir, test_split="test[:90%]", streaming=True)
    assert again.fingerprint == fingerprint


def test_what_is_cut_short_is_refused_and_what_is_half_made_is_made_again(tmp_path):
    fingerprint = load_dataset("digits", padding=1, data_dir=str(tmp_path), streaming=True).fingerprint
    (path,) = tmp_path.glob("digits/decoded.1.0.0/train-8x8x1/pixels.npy")
    content = path.read_bytes()
    path.write_bytes(content[:-1000])
    with pytest.raises(DataError, match=r"train-8x8x1: cannot be used: .*; delete it, so that it is prepared again"):
        load_dataset("digits", padding=1, data_dir=str(tmp_path), streaming=True)
    path.parent.rename(path.parent.with_suffix(".unfinished"))
    again = load_dataset("digits", padding=1, data_dir=str(tmp_path), streaming=True)
    assert again.fingerprint == fingerprint
    assert not list(tmp_path.rglob("*.unfinished"))


def test_images_that_do_not_fit_on_the_disk_are_refused_before_any_is_written(tmp_path):
    with pytest.raises(DataError, match=r"train-1000000x1000000x1: cannot be written: .* 1,297,000\.0 GB.*image_size"):
        load_dataset("digits", image_size=1_000_000, data_dir=str(tmp_path), streaming=True)
    assert not list(tmp_path.rglob("*.unfinished"))


@pytest.fixture
def streamed(tmp_path):
    """A folder of decoded images, and how to load them."""

    def load():
        return load_dataset("digits", padding=1, data_dir=str(tmp_path), streaming=True)

    return tmp_path / "digits/decoded.1.0.0/train-8x8x1", load


def test_digests_that_an_earlier_version_did_not_keep_are_added(streamed, monkeypatch):
    folder, load = streamed
    before, content = load(), (folder / "digests.npy").read_bytes()
    (folder / "digests.npy").unlink()
    (folder / "unfinished.digests.npy").write_bytes(b"cut short")
    monkeypatch.setattr("kd_bench.data.datasets._blocks", None)
    np.testing.assert_array_equal(load().train.labels, before.train.labels)
    assert (folder / "digests.npy").read_bytes() == content
    assert sorted(path.name for path in folder.iterdir()) == ["digests.npy", "labels.npy", "pixels.npy"]


def test_digests_are_made_once(streamed, monkeypatch):
    _, load = streamed
    fingerprint = load().fingerprint
    monkeypatch.setattr("kd_bench.data.images._block_digests", None)
    assert load().fingerprint == fingerprint


@pytest.mark.parametrize("harm", ["cut short", "of other images", "of another kind"])
def test_digests_that_are_not_those_of_the_images_are_refused(streamed, harm):
    folder, load = streamed
    load()
    path = folder / "digests.npy"
    if harm == "cut short":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        np.save(path, np.zeros(1297, np.int64) if harm == "of another kind" else np.zeros(500, np.uint64))
    with pytest.raises(DataError, match=r"train-8x8x1: cannot be used: .*; delete it, so that it is prepared again"):
        load()
