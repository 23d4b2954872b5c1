import multiprocessing
import socket
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from sklearn.datasets import load_digits
from tensorflow_datasets.core.download import downloader

from kd_bench.config.signature import check_parameters
from kd_bench.data import digits
from kd_bench.data.datasets import load_dataset
from kd_bench.data.description import describe
from kd_bench.errors import DataError

CONF = Path(__file__).parents[2] / "conf"


class Odd(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Images of 6x4 and 4x6, labelled 0, 1 and, in `unlabelled`, -1."""

    VERSION = tfds.core.Version("1.0.0")
    name = "odd"

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(8),
            "test": self._generate_examples(4),
            "unlabelled": self._generate_examples(-2),
        }

    def _generate_examples(self, count):
        for index in range(abs(count)):
            shape = (6, 4, 3) if index % 2 else (4, 6, 3)
            yield index, {"image": np.full(shape, 20 * index, np.uint8), "label": -1 if count < 0 else index % 2}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture
def odd(monkeypatch, data_dir):
    monkeypatch.setattr("kd_bench.data.preparation.tfds.builder", lambda name, data_dir: Odd(data_dir=data_dir))
    return data_dir


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_digits_are_scikit_learns(data_dir):
    dataset = load_dataset("digits", padding=1, flip=False, data_dir=data_dir)
    assert dataset.train.pixels.shape == (1297, 8, 8, 1)
    assert dataset.test.pixels.shape == (500, 8, 8, 1)
    assert (dataset.train.pixels.dtype, dataset.train.labels.dtype) == (np.uint8, np.int32)
    both = np.concatenate([dataset.train.pixels, dataset.test.pixels])[..., 0]
    expected = np.round(load_digits().images * 255 / 16)
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in expected.astype(np.uint8))
    assert both.max() == 255


def test_digits_are_split_alike_in_all_classes(data_dir):
    dataset = load_dataset("digits", padding=1, data_dir=data_dir)
    of_class = np.bincount(load_digits().target)
    assert np.abs(np.bincount(dataset.test.labels) - of_class * 500 / 1797).max() <= 1
    assert (np.bincount(dataset.train.labels) + np.bincount(dataset.test.labels)).tolist() == of_class.tolist()


def test_digits_are_the_same_each_time(data_dir, tmp_path):
    some, others = (load_dataset("digits", padding=1, data_dir=str(place)) for place in (data_dir, tmp_path))
    np.testing.assert_array_equal(some.train.pixels, others.train.pixels)
    np.testing.assert_array_equal(some.test.labels, others.test.labels)
    order = digits.stratified_order(load_digits().target, digits.SPLIT_SEED)
    expected = np.round(load_digits().images[order[: digits.TEST_SIZE]] * 255 / 16).astype(np.uint8)
    assert sorted(image.tobytes() for image in some.test.pixels) == sorted(image.tobytes() for image in expected)


def test_statistics_are_the_training_sets(data_dir):
    dataset = load_dataset("digits", padding=1, data_dir=data_dir)
    np.testing.assert_allclose(dataset.mean, [dataset.train.pixels.mean()], rtol=1e-6)
    np.testing.assert_allclose(dataset.std, [dataset.train.pixels.std()], rtol=1e-6)
    assert dataset.num_classes == 10


def test_slices_hold_images_out(data_dir):
    dataset = load_dataset("digits", train_split="train[:90%]", test_split="train[90%:]", padding=1, data_dir=data_dir)
    assert len(dataset.train) + len(dataset.test) == 1297


def test_image_size_resizes(data_dir):
    dataset = load_dataset("digits", image_size=16, data_dir=data_dir)
    assert dataset.train.pixels.shape == (1297, 16, 16, 1)
    original = load_dataset("digits", padding=1, data_dir=data_dir)
    np.testing.assert_allclose(dataset.mean, original.mean, atol=2)


def test_images_of_varying_size(odd):
    with pytest.raises(
        DataError, match=r"dataset\.name=odd: its images vary in size; set a size, .*dataset\.image_size=32"
    ):
        load_dataset("odd", data_dir=odd)
    dataset = load_dataset("odd", image_size=5, data_dir=odd)
    assert dataset.train.pixels.shape == (8, 5, 5, 3)
    assert sorted(dataset.train.pixels[:, 0, 0, 0]) == [20 * index for index in range(8)]


def test_labels_out_of_range(odd):
    with pytest.raises(DataError, match=r"its test set has labels from -1 to -1, outside 0 to 1 \(-1 means no label"):
        _ = load_dataset("odd", test_split="unlabelled", image_size=5, data_dir=odd).test


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar1000", r"dataset\.name=cifar1000: TensorFlow Datasets has no such set\. Did you mean cifar100 or"),
        ("no such set", r"dataset\.name=no such set: is not a valid name; write for example cifar10"),
        ("", r"dataset\.name=: is not a valid name; write for example cifar10"),
        ("cifar100:9.9.9", r"dataset\.name=cifar100:9\.9\.9: .*only: 3\.0\.2"),
        ("coco", "does not say which feature is the image and which the label"),
        ("imdb_reviews", "its inputs are Text.* not images"),
    ],
)
def test_what_is_no_image_classification_set_is_refused(name, message, data_dir):
    with pytest.raises(DataError, match=message):
        load_dataset(name, data_dir=data_dir)


@pytest.mark.parametrize("split", ["tset", "train[:x", "test[:0]"])
def test_a_missing_split_is_refused(split, data_dir):
    with pytest.raises(DataError, match=r"dataset\.test_split="):
        _ = load_dataset("digits", padding=1, test_split=split, data_dir=data_dir).test
    with pytest.raises(DataError, match="digits has the splits train, test"):
        load_dataset("digits", padding=1, train_split="tset", data_dir=data_dir)


def test_too_much_padding_is_refused(data_dir):
    with pytest.raises(DataError, match=r"dataset\.padding=8: must be below the images' size, 8x8"):
        load_dataset("digits", padding=8, data_dir=data_dir)


def test_without_network_the_error_says_what_to_put_where(offline, tmp_path, capfd):
    with pytest.raises(DataError) as caught:
        load_dataset("cifar100", data_dir=str(tmp_path))
    for part in ("dataset.name=cifar100", "cifar-100-binary.tar.gz", "manual_dir=", "data_dir=", "cifar100/3.0.2"):
        assert part in str(caught.value)
    assert "Retrying" not in "".join(capfd.readouterr())


def test_a_preparation_that_failed_leaves_no_rubbish_and_keeps_what_was_downloaded(offline, tmp_path):
    earlier = tmp_path / "downloads/mnist/train.gz"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    settings = downloader.MAX_RETRIES, downloader._open_url
    for name in ("mnist", "cifar100"):
        with pytest.raises(DataError, match="could not be prepared"):
            load_dataset(name, data_dir=str(tmp_path))
    empty = tmp_path / "downloads/extracted"  # preparations of other sets may be using it
    assert set(tmp_path.rglob("*")) == {tmp_path / "downloads", empty, earlier.parent, earlier}
    assert (downloader.MAX_RETRIES, downloader._open_url) == settings


def test_a_folder_of_images_is_said_to_be_no_prepared_set(tmp_path):
    (tmp_path / "png/cats").mkdir(parents=True)
    (tmp_path / "png/cats/1.png").touch()
    problem = rf"no such set\. {tmp_path}/png has no set of this name .*dataset=folder dataset\.root={tmp_path}/png"
    with pytest.raises(DataError, match=problem):
        load_dataset("png", data_dir=str(tmp_path))


def test_a_set_that_declares_no_keys_has_image_and_label(tmp_path):
    features = {
        "image": tfds.features.Image(shape=(8, 8, 1)),
        "label": tfds.features.ClassLabel(names=["ant", "bee", "cat"]),
    }
    parts = {}
    for split, count in (("train", 20), ("test", 6)):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 1), np.uint8)
        parts[split] = tf.data.Dataset.from_tensor_slices({"image": pixels, "label": np.arange(count) % 3})
    tfds.dataset_builders.store_as_tfds_dataset(
        "own", "1.0.0", tfds.features.FeaturesDict(features), parts, data_dir=tmp_path
    )
    dataset = load_dataset("own", data_dir=str(tmp_path))
    assert np.bincount(dataset.train.labels).tolist() == [7, 7, 6]
    assert np.bincount(dataset.test.labels).tolist() == [2, 2, 2]
    assert describe(dataset, with_test=True) == (
        "3 classes (ant, bee, cat), 20 training and 6 test images of 8x8 pixels in 1 channel"
    )


def test_a_file_that_is_not_the_registered_one_is_refused(offline, tmp_path):
    (tmp_path / "cifar-100-binary.tar.gz").write_bytes(b"not it")
    with pytest.raises(DataError, match=r"cifar-100-binary\.tar\.gz, has wrong checksum"):
        load_dataset("cifar100", data_dir=str(tmp_path / "data"), manual_dir=str(tmp_path))


def test_a_missing_manual_dir_is_refused(data_dir):
    with pytest.raises(DataError, match=r"dataset\.manual_dir=/no/such: there is no such folder"):
        load_dataset("cifar100", data_dir=data_dir, manual_dir="/no/such")


def test_a_data_dir_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"NotADirectoryError|dataset\.data_dir="):
        load_dataset("digits", padding=1, data_dir=str(tmp_path / "file"))


def test_an_interrupted_preparation_leaves_nothing_that_counts(monkeypatch, tmp_path):
    def interrupted(self, indices):
        yield 0, {"image": np.zeros((8, 8, 1), np.uint8), "label": 0}
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(digits.Digits, "_generate_examples", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_dataset("digits", padding=1, data_dir=str(tmp_path))
    assert len(load_dataset("digits", padding=1, data_dir=str(tmp_path)).train) == 1297


def _count_train(data_dir: str) -> int:
    return len(load_dataset("digits", padding=1, data_dir=data_dir).train)


def test_processes_may_prepare_the_same_set_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_count_train, [str(tmp_path)] * 3) == [1297] * 3


@pytest.mark.parametrize("path", sorted((CONF / "dataset").glob("*.yaml")), ids=lambda path: path.stem)
def test_configs_set_every_parameter_and_no_other(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ") and len(lines) < 17
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = OmegaConf.to_container(compose(overrides=[f"+dataset={path.stem}"]).dataset)
    target, name = composed.pop("_target_"), composed.pop("name")
    assert path.stem in ("folder", "arrays") or name == {"tfds": "???"}.get(path.stem, path.stem)
    composed = {key: "" if value == "???" else value for key, value in composed.items()}
    check_parameters("dataset", target, composed)
