"""Copies of one set whose files hold the images in other orders: the same set, in memory and on disk."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kd_bench.data.batches import evaluation_batches, training_batches
from kd_bench.data.datasets import load_dataset
from kd_bench.data.fractions import subset, take


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("original")
    load(data_dir)
    return data_dir


@pytest.fixture(scope="module", params=[1, 3], ids=["one file", "three files"])
def permuted(original, tmp_path_factory, request) -> Path:
    """A copy of the prepared digits, of which each split is in another order and in this many files."""
    data_dir = tmp_path_factory.mktemp("permuted")
    folder = Path(shutil.copytree(original / "digits/1.0.0", data_dir / "digits/1.0.0"))
    info = json.loads((folder / "dataset_info.json").read_text())
    for split in info["splits"]:
        split["shardLengths"] = permute(folder, split["name"], request.param)
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return data_dir


def permute(folder, split, files) -> list[str]:
    """Writes the records of a split anew; returns how many each file holds, as the metadata want it."""
    (path,) = folder.glob(f"digits-{split}.tfrecord-*")
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    path.unlink()
    parts = np.array_split(np.random.default_rng(5).permutation(len(records)), files)
    for number, part in enumerate(parts):
        name = f"digits-{split}.tfrecord-{number:05}-of-{files:05}"
        with tf.io.TFRecordWriter(str(folder / name)) as writer:
            for index in part:
                writer.write(records[index])
    return [str(len(part)) for part in parts]


def load(data_dir, **parameters):
    return load_dataset("digits", padding=1, data_dir=str(data_dir), **parameters)


def assert_same_batches(some, others):
    for batch, other in zip(some.as_numpy_iterator(), others.as_numpy_iterator(), strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_another_order_gives_the_same_subsets_and_batches(original, permuted, streaming, fraction):
    both = load(original), load(permuted, streaming=streaming)
    chosen = [subset(dataset.train.labels, fraction, 0) for dataset in both]
    np.testing.assert_array_equal(*chosen)
    parts = [take(dataset.train, indices) for dataset, indices in zip(both, chosen, strict=True)]
    assert_same_batches(
        *(
            training_batches(part, dataset, batch_size=32, seed=3, first_step=5, steps=60)
            for part, dataset in zip(parts, both, strict=True)
        )
    )
    assert_same_batches(*(evaluation_batches(dataset.test, dataset, batch_size=100) for dataset in both))


@pytest.mark.parametrize("streaming", [False, True])
def test_another_order_gives_the_same_fingerprint_and_statistics(original, permuted, streaming):
    some, other = load(original), load(permuted, streaming=streaming)
    assert some.fingerprint == other.fingerprint
    np.testing.assert_array_equal(some.mean, other.mean)
    np.testing.assert_array_equal(some.std, other.std)


def test_the_files_do_differ_and_a_slice_is_cut_in_their_order(original, permuted):
    some, other = (load(data_dir, train_split="train[:50%]") for data_dir in (original, permuted))
    assert some.fingerprint != other.fingerprint
