"""Images that stay encoded: the same batches from memory and from disk, at any step; and bad files by their names."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from helpers.photographs import exif
from PIL import Image

from kd_bench.config.augmentation import Augmentation
from kd_bench.config.compose import jobs
from kd_bench.data.batches import evaluation_batches, training_batches
from kd_bench.data.datasets import load_dataset
from kd_bench.data.encoded import EncodedPixels, naming_damage
from kd_bench.data.folder import load_folder
from kd_bench.data.fractions import subset, take
from kd_bench.errors import DataError

OPTIONS = {"content": "", "test_share": 0.25, "channels": 3, "padding": 1, "flip": True, "image_size": 16}
RANDOM = {"resize": "crop", "short_side": 20, "crop_scale": [0.3, 1.0]}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Sixteen photographs in each of three classes: JPEG and PNG, upright and turned, of many sizes."""
    root, random = tmp_path_factory.mktemp("encoded") / "photos", np.random.default_rng(0)
    for name in ("cats", "dogs", "eels"):
        (root / name).mkdir(parents=True)
        for number in range(16):
            pixels = random.integers(0, 256, (*random.integers(18, 40, 2), 3), np.uint8)
            content = tf.io.encode_jpeg(pixels).numpy()
            content = content[:2] + exif(1 + number % 8) + content[2:]
            if number % 5 == 0:
                content = tf.io.encode_png(pixels).numpy()
            (root / name / f"{number}.jpg").write_bytes(content)
    return root


def folder_set(root, **options):
    return load_folder("photos", root=str(root), **OPTIONS | options)


def all_batches(dataset, images=None, first_step=0, steps=8, **options):
    images = dataset.train if images is None else images
    given = {"batch_size": 8, "seed": 3, "first_step": first_step, "steps": steps}
    training = training_batches(images, dataset, **given, **options)
    return [*training.as_numpy_iterator(), *evaluation_batches(dataset.test, dataset, batch_size=5).as_numpy_iterator()]


def assert_same(some, others):
    assert len(some) == len(others) > 2
    for batch, other in zip(some, others, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


@pytest.mark.parametrize("options", [{}, {"resize": "crop"}, RANDOM], ids=["squashed", "kept aspect", "random crops"])
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_they_are_the_same_set_and_batches_from_memory_and_from_disk(photos, options, fraction):
    memory, disk = (folder_set(photos, **options, streaming=streaming) for streaming in (False, True))
    assert isinstance(disk.train.pixels, EncodedPixels)
    assert memory.fingerprint == disk.fingerprint
    np.testing.assert_array_equal(memory.mean, disk.mean)
    parts = [take(one.train, subset(one.train.labels, fraction, 0)) for one in (memory, disk)]
    assert_same(*(all_batches(one, part, steps=4) for one, part in zip((memory, disk), parts, strict=True)))


def test_a_batch_depends_on_seed_and_step_alone(photos):
    dataset = folder_set(photos, **RANDOM)
    options = {"augmentation": Augmentation(magnitude=0.5, colour_jitter=0.4, mixup=0.2)}
    whole = all_batches(dataset, **options)
    assert_same(whole[5:], all_batches(dataset, first_step=5, **options))
    pixels = np.stack([batch[0] for batch in whole[:8]])
    assert not np.array_equal(pixels[0], pixels[4])  # of another epoch


def test_each_image_has_a_crop_of_its_own(tmp_path):
    gradient = np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8)[:, None, None], (60, 60, 3))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(8):
            (tmp_path / name / f"{number}.png").write_bytes(tf.io.encode_png(gradient).numpy())
    dataset = folder_set(tmp_path, **RANDOM | {"crop_scale": [0.1, 0.1]})
    ((pixels, *_),) = training_batches(dataset.train, dataset, batch_size=12, seed=0, first_step=0, steps=1)
    assert len({float(image[0, 0, 0]) for image in pixels}) > 6


def test_what_is_tested_is_the_centre_with_its_aspect(photos):
    dataset = folder_set(photos, **RANDOM)
    tested = np.concatenate([pixels for pixels, _ in evaluation_batches(dataset.test, dataset, batch_size=5)])
    expected = (dataset.test.read(np.arange(len(dataset.test))) - dataset.mean) / dataset.std
    np.testing.assert_allclose(tested, expected, atol=1e-5)
    assert tested.shape == (12, 16, 16, 3)


def test_a_digest_is_of_the_file_and_its_label(photos, tmp_path):
    before = folder_set(photos, **RANDOM).fingerprint
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos/cats/1.jpg").rename(tmp_path / "photos/cats/renamed.jpg")
    assert folder_set(tmp_path / "photos", **RANDOM).fingerprint == before
    (tmp_path / "photos/cats/2.jpg").rename(tmp_path / "photos/dogs/moved.jpg")
    assert folder_set(tmp_path / "photos", **RANDOM).fingerprint != before


def write_set(folder, file_format):
    """Writes a set of TensorFlow Datasets with photographs of many sizes."""
    random = np.random.default_rng(1)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
    )

    def examples(count):
        for number in range(count):
            pixels = random.integers(0, 256, (*random.integers(18, 30, 2), 3), np.uint8)
            yield number, {"image": pixels, "label": number % 2}

    parts = {"train": [*examples(40)], "test": [*examples(12)]}
    tfds.dataset_builders.store_as_tfds_dataset(
        "mine", "1.0.0", features, parts, data_dir=folder, file_format=file_format
    )


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_a_set_of_tensorflow_datasets_stays_encoded(tmp_path, file_format):
    write_set(tmp_path, file_format)
    options = {"data_dir": str(tmp_path), "image_size": 16, **RANDOM, "normalisation": "imagenet"}
    memory, disk = (load_dataset("mine", **options, streaming=streaming) for streaming in (False, True))
    assert memory.fingerprint == disk.fingerprint
    assert_same(all_batches(memory), all_batches(disk))
    assert np.bincount(disk.train.labels).tolist() == [20, 20]
    np.testing.assert_allclose(disk.mean / 255, [0.485, 0.456, 0.406], rtol=1e-6)
    part = load_dataset("mine", **options, train_split="train[10:30]", streaming=True)
    assert set(part.train.digests) < set(disk.train.digests) and len(part.train) == 20


def test_a_record_file_that_is_cut_short_is_named(tmp_path):
    write_set(tmp_path, "tfrecord")
    (path,) = tmp_path.glob("mine/1.0.0/*train*")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"mine/1\.0\.0: cannot be used: ValueError: .*train.* is cut short; delete it"):
        load_dataset("mine", data_dir=str(tmp_path), image_size=16, **RANDOM)


def saved(pixels, kind, **options):
    def write(path):
        Image.fromarray(pixels).save(path, kind, **options)

    return write


GRAY = np.arange(900, dtype=np.uint8).reshape(30, 30)
COLOURS = np.stack([GRAY, GRAY.T, 255 - GRAY], axis=-1)
READ_RIGHTLY = {
    "for printing": lambda path: Image.fromarray(COLOURS).convert("CMYK").save(path, "JPEG", quality=95),
    "of 16 bits": lambda path: path.write_bytes(tf.io.encode_png(COLOURS.astype(np.uint16) * 257).numpy()),
    "gray": saved(GRAY, "PNG"),
    "progressive": saved(COLOURS, "JPEG", progressive=True),
    "with a palette": lambda path: Image.fromarray(COLOURS).quantize(64).save(path, "PNG"),
    "turned": lambda path: path.write_bytes(
        (content := tf.io.encode_jpeg(COLOURS).numpy())[:2] + exif(6) + content[2:]
    ),
    "with more behind its end": lambda path: path.write_bytes(tf.io.encode_jpeg(COLOURS).numpy() + b"\xff\xda more"),
}


@pytest.mark.parametrize("options", [{"resize": "crop"}, RANDOM], ids=["memory", "encoded"])
@pytest.mark.parametrize("kind", READ_RIGHTLY)
def test_a_photograph_of_another_kind_is_read(photos, tmp_path, kind, options):
    shutil.copytree(photos, tmp_path / "photos")
    path = tmp_path / "photos/cats/0.jpg"  # whatever its kind, a wrong ending does no harm
    READ_RIGHTLY[kind](path)
    dataset = folder_set(tmp_path / "photos", **options)
    assert len(all_batches(dataset, steps=4)) == 4 + 3


CUT_SHORT = {
    "a JPEG": lambda: tf.io.encode_jpeg(COLOURS).numpy()[:-200],
    "a JPEG with a small picture": lambda: (
        (c := tf.io.encode_jpeg(COLOURS).numpy())[:2] + b"\xff\xe2\0\x08\xff\xd8\xff\xd9ab" + c[2:-200]
    ),
    "a PNG": lambda: tf.io.encode_png(COLOURS).numpy()[:-20],
}


@pytest.mark.parametrize("options", [{"resize": "crop"}, RANDOM], ids=["memory", "encoded"])
@pytest.mark.parametrize("kind", CUT_SHORT)
def test_a_photograph_that_is_cut_short_is_named(photos, tmp_path, kind, options):
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos/cats/0.jpg").write_bytes(CUT_SHORT[kind]())
    with pytest.raises(DataError, match=r"cats/0\.jpg is not an image that can be read \(it is cut short\); replace"):
        folder_set(tmp_path / "photos", **options)


def test_damage_that_only_decoding_shows_is_named(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    content = tf.io.encode_png(np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)).numpy()
    for name in ("cats", "dogs", "eels"):
        for number in range(0, 16, 2):
            (tmp_path / "photos" / name / f"{number}.jpg").write_bytes(content[:900] + b"harm" + content[904:])
    dataset = folder_set(tmp_path / "photos", **RANDOM, normalisation="imagenet")
    with (
        pytest.raises(DataError, match=r"photos/\w+/\d+\.jpg is not an image that can be read \([^\n]*\); replace it"),
        naming_damage(dataset.train),
    ):
        all_batches(dataset)


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0WEBPVP8 ", b"<html>"])
def test_what_is_no_image_is_named(photos, tmp_path, content):
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos/cats/0.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"cats/0\.jpg is not an image that can be read \(it is no BMP, GIF, JPEG or"):
        folder_set(tmp_path / "photos", **RANDOM)


def test_a_huge_png_is_refused_from_its_header(photos, tmp_path, monkeypatch):
    shutil.copytree(photos, tmp_path / "photos")
    head = (content := tf.io.encode_png(COLOURS).numpy())[:16]
    (tmp_path / "photos/cats/0.jpg").write_bytes(head + (20_000).to_bytes(4, "big") * 2 + content[24:])
    monkeypatch.setattr(tf.io, "decode_image", None)
    with pytest.raises(DataError, match=r"cats/0\.jpg .*its 20000x20000 pixels are more than 134,217,728\); replace"):
        folder_set(tmp_path / "photos", **RANDOM)


def test_imagenets_numbers_are_for_colours(photos):
    with pytest.raises(DataError, match=r"^dataset\.normalisation=imagenet: has 3 channels, and the images have 1;"):
        folder_set(photos, **RANDOM, channels=1, normalisation="imagenet")


def run_on(root, *more):
    (run,) = jobs(["method=student", "dataset=folder", f"dataset.root={root}", *more])
    return run


def test_what_changes_no_image_is_no_fact(photos):
    plain = run_on(photos)
    assert "resize" not in plain.facts()["dataset"]
    assert run_on(photos, "dataset.resize=squash").digest == plain.digest
    assert run_on(photos, "dataset.streaming=true").digest == plain.digest
    sized = run_on(photos, "dataset.image_size=16")
    assert run_on(photos, "dataset.image_size=16", "dataset.resize=squash").digest != sized.digest != plain.digest
    random = ["dataset.image_size=16", "dataset.crop_scale=[0.08,1]"]
    assert run_on(photos, *random, "dataset.padding=2").digest == run_on(photos, *random).digest != sized.digest
