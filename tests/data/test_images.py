import hashlib
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from kd_bench.data.images import ImageDataset, Images, channel_statistics, image_digests, in_canonical_order
from kd_bench.errors import DataError


def test_statistics_are_those_of_numpy():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), np.uint8)
    mean, std = channel_statistics(pixels)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 1, 2)), rtol=1e-6)


def test_a_constant_channel_has_std_one():
    pixels = np.zeros((4, 2, 2, 2), np.uint8)
    pixels[..., 1] = 7
    mean, std = channel_statistics(pixels)
    assert mean.tolist() == [0, 7]
    assert std.tolist() == [1, 1]


def test_blocks_add_up():
    pixels = np.full((3, 1 << 12, 1 << 12, 1), 9, np.uint8)
    pixels[0] = 0
    np.testing.assert_allclose(channel_statistics(pixels)[0], [6])


def make_images(count=6, size=(4, 3), channels=2):
    pixels = np.random.default_rng(0).integers(0, 256, (count, *size, channels), np.uint8)
    return Images(pixels, np.arange(count, dtype=np.int32))


def make_dataset(**parts):
    dataset = ImageDataset("made", make_images(), make_images(4), 6, np.zeros(2), np.ones(2), padding=1, flip=False)
    return replace(dataset, **parts)


def with_another_pixel(images):
    pixels = images.pixels.copy()
    pixels[-1, -1, -1, -1] ^= 1
    return replace(images, pixels=pixels)


def with_another_label(images):
    labels = images.labels.copy()
    labels[-1] = 0
    return replace(images, labels=labels)


ALTERATIONS = {
    "pixel": with_another_pixel,
    "label": with_another_label,
    "order of the images": lambda images: replace(images, pixels=images.pixels[::-1]),
    "order of the labels": lambda images: replace(images, labels=images.labels[::-1]),
    "shape": lambda images: replace(images, pixels=images.pixels.reshape(len(images), 3, 4, 2)),
    "number": lambda images: Images(images.pixels[:-1], images.labels[:-1]),
}


def with_pixels(pixels):
    return lambda images: replace(images, pixels=pixels)


UNFIT = {
    "no images": (lambda images: Images(images.pixels[:0], images.labels[:0]), r"shape \(0, 4, 3, 2\), not uint8"),
    "no pixels": (with_pixels(np.zeros((6, 0, 0, 1), np.uint8)), r"shape \(6, 0, 0, 1\), not uint8"),
    "floats": (with_pixels(np.zeros((6, 4, 3, 2), np.float32)), "pixels of type float32"),
    "no channels": (with_pixels(np.zeros((6, 4, 3), np.uint8)), r"shape \(6, 4, 3\), not uint8 \[M, H, W, C\]"),
    "a label too few": (lambda images: replace(images, labels=images.labels[1:]), "images and [35] labels"),
    "labels from one": (
        lambda images: replace(images, labels=images.labels + 3),
        "labels from 3 to [68], outside",
    ),
    "no label": (lambda images: replace(images, labels=images.labels - 1), "labels from -1 to [24], outside"),
}


@pytest.mark.parametrize("part", ["train", "test_images"])
@pytest.mark.parametrize("kind", UNFIT)
def test_images_that_no_network_can_learn_from_are_refused(kind, part):
    alter, problem = UNFIT[kind]
    dataset, said = make_dataset(), {"train": "training", "test_images": "test"}[part]
    with pytest.raises(DataError, match=rf"^dataset\.name=made: its {said} set has .*{problem}"):
        replace(dataset, **{part: alter(getattr(dataset, part))})


def test_a_test_set_is_read_once_when_it_is_first_needed_and_then_checked():
    read = []

    def read_test():
        read.append("test")
        return make_images(4)

    dataset = make_dataset(test_images=read_test)
    assert dataset.train_fingerprint == make_dataset().train_fingerprint != make_dataset().fingerprint
    assert read == []
    assert dataset.fingerprint == make_dataset().fingerprint
    assert (len(dataset.test), read) == (4, ["test"])
    with pytest.raises(DataError, match=r"its test set has labels from 0 to 8"):
        _ = make_dataset(test_images=lambda: make_images(9)).test


@pytest.mark.parametrize("pixels", [np.zeros((2, 0, 0, 1), np.uint8), np.zeros((2, 4, 4, 1), np.float32)])
def test_statistics_of_anything_but_pixels_are_refused(pixels):
    with pytest.raises(DataError, match="The images have pixels of type"):
        channel_statistics(pixels)


def test_a_fingerprint_is_a_function_of_the_data():
    fingerprint = make_dataset().fingerprint
    assert len(fingerprint) == 16 and set(fingerprint) <= set("0123456789abcdef")
    assert fingerprint == make_dataset().fingerprint
    # Of values, not of how they lie in memory; nor of how they are augmented.
    assert (
        fingerprint
        == make_dataset(train=Images(np.asfortranarray(make_images().pixels), make_images().labels)).fingerprint
    )
    assert fingerprint == make_dataset(name="other", padding=0, flip=True).fingerprint


@pytest.mark.parametrize("part", ["train", "test_images"])
@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_a_fingerprint_tells_data_apart(alteration, part):
    dataset = make_dataset()
    altered = replace(dataset, **{part: ALTERATIONS[alteration](getattr(dataset, part))})
    assert altered.fingerprint != dataset.fingerprint


def test_a_fingerprint_tells_roles_and_classes_apart():
    dataset = make_dataset()
    assert replace(dataset, train=dataset.test, test_images=dataset.train).fingerprint != dataset.fingerprint
    assert replace(dataset, num_classes=7).fingerprint != dataset.fingerprint


def test_a_fingerprint_is_that_of_any_order():
    dataset, order = make_dataset(), np.array([3, 0, 5, 1, 4, 2])
    permuted = Images(dataset.train.pixels[order], dataset.train.labels[order])
    assert replace(dataset, train=permuted).fingerprint == dataset.fingerprint
    indexed = Images(dataset.train.pixels, dataset.train.labels[order], rows=order)
    assert replace(dataset, train=indexed).fingerprint == dataset.fingerprint


def test_a_fingerprint_counts_an_image_that_is_there_twice():
    images = make_images()
    fingerprints = {
        make_dataset(train=Images(images.pixels[rows], images.labels[rows])).fingerprint
        for rows in ([0, 1, 2], [0, 0, 1], [0, 1, 1])
    }
    assert len(fingerprints) == 3


def test_a_digest_is_of_the_pixels_and_then_the_label():
    images = make_images(count=150)
    for image, label, digest in zip(images.pixels, images.labels, image_digests(images), strict=True):
        content = image.tobytes() + int(label).to_bytes(4, "little")
        assert int(digest) == int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def on_disk(images, folder):
    np.save(folder / "pixels.npy", images.pixels)
    return Images(np.load(folder / "pixels.npy", mmap_mode="r"), images.labels)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_the_canonical_order_is_that_of_any_order(place, tmp_path):
    images = make_images(count=150)
    expected = in_canonical_order(images)
    assert sorted(expected.labels) == list(range(150)) and not np.array_equal(expected.labels, images.labels)
    order = np.random.default_rng(1).permutation(150)
    permuted = Images(images.pixels[order], images.labels[order])
    found = in_canonical_order(on_disk(permuted, tmp_path) if place == "disk" else permuted)
    assert found.on_disk == (place == "disk")
    np.testing.assert_array_equal(found.read(np.arange(150)), expected.pixels)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.digests, np.sort(image_digests(images)))
    np.testing.assert_array_equal(in_canonical_order(found).labels, found.labels)


def test_equal_images_differ_by_their_labels():
    pixels, labels = np.zeros((4, 2, 2, 1), np.uint8), np.array([1, 0, 1, 0], np.int32)
    some, other = (in_canonical_order(Images(pixels, order)).labels for order in (labels, labels[::-1]))
    assert some.tolist() == other.tolist() and some[0] == some[1] != some[2] == some[3]


def test_a_fingerprint_copies_nothing():
    dataset = make_dataset(train=make_images(count=1 << 12, size=(32, 32), channels=1), num_classes=1 << 12)
    tracemalloc.start()
    assert dataset.fingerprint
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < dataset.train.pixels.nbytes / 10
