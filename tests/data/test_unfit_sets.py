"""Sets that are not for image classification, and splits that do not fit: refused with the key and the remedy."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from kd_bench.data.datasets import load_dataset
from kd_bench.errors import DataError

Image, Label, Sequence, Tensor = (
    tfds.features.Image,
    tfds.features.ClassLabel,
    tfds.features.Sequence,
    tfds.features.Tensor,
)
GRAY, TEN = Image(shape=(8, 8, 1)), Label(num_classes=10)
PAIR = ("image", "label")

UNFIT = {
    "no label": (GRAY, None, None, r"which feature is the image and which the label, .*\(it has image\)"),
    "three parts": (GRAY, TEN, ("image", "label", "image"), r"\(it has image, label\)"),
    "a number for a label": (GRAY, Tensor(shape=(), dtype=np.float32), PAIR, "its targets are Tensor"),
    "several labels": (GRAY, Sequence(TEN), PAIR, "its targets are Sequence"),
    "an unknown number of classes": (GRAY, Label(), PAIR, "its targets are ClassLabel"),
    "a vector": (Tensor(shape=(64,), dtype=np.uint8), TEN, PAIR, r"its inputs are Tensor\(shape=\(64,\)"),
    "an array": (Tensor(shape=(8, 8, 1), dtype=np.uint8), TEN, PAIR, "its inputs are Tensor"),
    "16 bits": (Image(shape=(8, 8, 1), dtype=np.uint16), TEN, PAIR, "dtype=uint16.*not images with pixels of 8 bits"),
    "floats": (Image(shape=(8, 8, 1), dtype=np.float32), TEN, PAIR, "dtype=float32.*not images with pixels of 8 bits"),
    "no pixels": (Image(shape=(0, 0, 1)), TEN, PAIR, r"shape=\(0, 0, 1\).*not images with pixels"),
    "films": (tfds.features.Video(shape=(None, 8, 8, 1)), TEN, PAIR, "its inputs are Video"),
    "images in a sequence": (Sequence(GRAY), TEN, PAIR, "its inputs are Sequence"),
    "text": (tfds.features.Text(), TEN, PAIR, "its inputs are Text"),
    "any number of channels": (Image(shape=(8, 8, None)), TEN, PAIR, "vary in their number of channels"),
}


def made(image, label, supervised_keys):
    """Returns a set's code; it is refused before anything is generated."""

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        name = "made"

        def _info(self):
            features = {"image": image} if label is None else {"image": image, "label": label}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=supervised_keys
            )

        def _split_generators(self, dl_manager):
            raise AssertionError("what is of no use is not downloaded")

        def _generate_examples(self):
            raise AssertionError("never called")

    return Made


@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_not_one_image_of_8_bits_and_one_class_is_refused(kind, monkeypatch, tmp_path):
    image, label, keys, problem = UNFIT[kind]
    builder = made(image, label, keys)
    monkeypatch.setattr("kd_bench.data.preparation.tfds.builder", lambda name, data_dir: builder(data_dir=data_dir))
    with pytest.raises(DataError, match=rf"^dataset\.name=made: .*{problem}.*choose a set for image classification\.$"):
        load_dataset("made", data_dir=str(tmp_path))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("data"))


def test_a_test_split_with_classes_that_the_training_split_lacks_is_refused(data_dir):
    problem = (
        r"its training set has no image of 6 classes that its test set has, such as \d; choose parts with the same"
    )
    with pytest.raises(DataError, match=rf"^dataset\.name=digits: {problem}"):
        _ = load_dataset("digits", padding=1, train_split="train[:4]", data_dir=data_dir).test


def test_a_training_split_may_have_classes_that_the_test_split_lacks(data_dir):
    dataset = load_dataset("digits", padding=1, test_split="test[:4]", data_dir=data_dir)
    assert len(set(dataset.test.labels)) < dataset.num_classes == 10


@pytest.mark.parametrize("split", ["test[:0]", "test[500:]"])
@pytest.mark.parametrize("key", ["train", "test"])
def test_a_split_without_images_is_refused(data_dir, key, split):
    with pytest.raises(
        DataError, match=rf"^dataset\.{key}_split=test.*: holds no images of digits; choose another split"
    ):
        _ = load_dataset("digits", padding=1, data_dir=data_dir, **{f"{key}_split": split}).test


@pytest.mark.parametrize("split", ["train", "train[:90%]"])
def test_the_same_split_is_not_both_trained_and_tested_on(data_dir, split):
    with pytest.raises(DataError, match=r"^dataset\.test_split=train.*: is also the training split"):
        load_dataset("digits", padding=1, data_dir=data_dir, train_split=split, test_split=split)


def test_images_that_both_splits_have_are_counted_on_stderr(data_dir, capsys):
    _ = load_dataset("digits", padding=1, data_dir=data_dir, test_split="train[90%:]").test
    warning = ": 130 of its 130 test images are also training images"
    assert warning in capsys.readouterr().err
    _ = load_dataset("digits", padding=1, data_dir=data_dir).test
    assert capsys.readouterr().err == ""


def test_what_is_larger_than_the_memory_is_refused_before_it_is_read(data_dir):
    with pytest.raises(DataError, match=r"^dataset\.train_split=train: 1297 images .* 1,297,000\.0 GB .*streaming"):
        load_dataset("digits", image_size=1_000_000, data_dir=data_dir)
