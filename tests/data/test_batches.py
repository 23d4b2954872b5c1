import hashlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from kd_bench.data.batches import augment, crop_and_flip, evaluation_batches, training_batches
from kd_bench.data.images import ImageDataset, Images, channel_statistics
from kd_bench.errors import DataError

COUNT = 50


def make_dataset(count=COUNT, size=(7, 6), channels=3, padding=2, flip=True) -> ImageDataset:
    pixels = np.random.default_rng(0).integers(0, 256, (count, *size, channels), np.uint8)
    images = Images(pixels, np.arange(count, dtype=np.int32))
    return ImageDataset("made", images, images, count, *channel_statistics(pixels), padding, flip)


def batches(dataset, batch_size=8, seed=0, first_step=0, steps=12):
    made = training_batches(
        dataset.train, dataset, batch_size=batch_size, seed=seed, first_step=first_step, steps=steps
    )
    return [(pixels, labels) for pixels, labels, _ in made.as_numpy_iterator()]


def assert_same(some, others):
    assert len(some) == len(others)
    for (pixels, labels, *_), (other_pixels, other_labels) in zip(some, others, strict=True):
        np.testing.assert_array_equal(pixels, other_pixels)
        np.testing.assert_array_equal(labels, other_labels)


def slow_crop_and_flip(pixels, offsets, flips, padding):
    cropped = []
    for image, (top, left), flipped in zip(pixels, offsets, flips, strict=True):
        padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
        crop = padded[top : top + image.shape[0], left : left + image.shape[1]]
        cropped.append(crop[:, ::-1] if flipped else crop)
    return np.stack(cropped)


@pytest.mark.parametrize("padding", [0, 1, 2, 5])
def test_crop_and_flip_against_numpy(padding):
    random = np.random.default_rng(padding)
    pixels = random.integers(0, 256, (40, 7, 6, 3), np.uint8)
    offsets = random.integers(0, 2 * padding + 1, (40, 2)).astype(np.int32)
    flips = random.random(40) < 0.5
    expected = slow_crop_and_flip(pixels, offsets, flips, padding)
    np.testing.assert_array_equal(crop_and_flip(pixels, offsets, flips, padding), expected)


def test_each_image_has_its_own_draw_and_all_draws_occur():
    image = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
    same = np.repeat(image, 2000, axis=0)
    augmented = augment(same, (0, tf.constant(3, tf.int64)), 1, True).numpy()
    kinds, counts = np.unique(augmented.reshape(2000, -1), axis=0, return_counts=True)
    assert len(kinds) == 9 * 2
    assert counts.min() > 70 and counts.max() < 160  # 111 expected, 10 the standard deviation


def test_without_crop_and_flip_images_are_only_normalised():
    dataset = make_dataset(padding=0, flip=False)
    for pixels, labels in batches(dataset):
        expected = (dataset.train.pixels[labels].astype(np.float32) - dataset.mean) / dataset.std
        np.testing.assert_allclose(pixels, expected, rtol=1e-6, atol=1e-6)


def test_flip_alone_and_crop_alone():
    flipped = augment(make_dataset().train.pixels, (1, 2), 0, True).numpy()
    for image, original in zip(flipped, make_dataset().train.pixels, strict=True):
        assert np.array_equal(image, original) or np.array_equal(image, original[:, ::-1])
    assert not np.array_equal(augment(make_dataset().train.pixels, (1, 2), 2, False), make_dataset().train.pixels)


def test_types_and_shapes():
    made = training_batches(make_dataset().train, make_dataset(), batch_size=8, seed=0, first_step=3, steps=10)
    assert made.cardinality() == 7
    pixels, labels, indices = next(iter(made))
    assert (pixels.dtype, labels.dtype, indices.dtype) == (tf.float32, tf.int32, tf.int32)
    assert pixels.shape == made.element_spec[0].shape == (8, 7, 6, 3)
    assert labels.shape == indices.shape == (8,)
    np.testing.assert_array_equal(make_dataset().train.labels[indices], labels)


def test_an_epoch_has_each_image_at_most_once_and_all_but_the_remainder():
    labels = np.concatenate([labels for _, labels in batches(make_dataset(), steps=6)])
    assert len(set(labels)) == len(labels) == 48


def test_an_epoch_without_remainder_has_every_image_once():
    labels = np.concatenate([labels for _, labels in batches(make_dataset(), batch_size=10, steps=5)])
    assert sorted(labels) == list(range(COUNT))


def test_epochs_and_seeds_differ():
    labels = [labels for _, labels in batches(make_dataset())]
    first, second = np.concatenate(labels[:6]), np.concatenate(labels[6:])
    other = np.concatenate([labels for _, labels in batches(make_dataset(), seed=1, steps=6)])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_epochs_augment_differently():
    dataset = make_dataset(count=8)
    (first, first_labels), (second, second_labels) = batches(dataset, steps=2)
    assert not np.array_equal(first[np.argsort(first_labels)], second[np.argsort(second_labels)])


@pytest.mark.parametrize("first_step", [1, 5, 6, 7, 11, 12, 20])
def test_a_resumed_run_sees_what_the_uninterrupted_one_saw(first_step):
    assert_same(batches(make_dataset(), first_step=first_step), batches(make_dataset())[first_step:])


def test_more_steps_change_nothing_before_them():
    assert_same(batches(make_dataset(), steps=20)[:12], batches(make_dataset()))


def test_the_order_looks_random():
    """Place and image are uncorrelated, epoch for epoch: what `index_shuffle` fails by five standard errors."""
    dataset = make_dataset(count=1297, size=(1, 1), channels=1, padding=0, flip=False)
    labels = np.stack([labels for _, labels in batches(dataset, batch_size=1297, steps=200)])
    correlations = np.array([np.corrcoef(np.arange(1297), row)[0, 1] for row in labels]) * np.sqrt(1297)
    assert np.abs(correlations).max() < 4.5
    assert 0.8 < correlations.std() < 1.2


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(DataError, match="batch_size=51: there are only 50 training images; lower batch_size to 50"):
        batches(make_dataset(), batch_size=51)


def test_a_padding_as_large_as_the_images_is_refused():
    with pytest.raises(DataError, match=r"dataset\.padding=6: must be below the images' size, 7x6"):
        batches(make_dataset(padding=6))


def test_evaluation_is_in_order_whole_and_normalised():
    dataset = make_dataset()
    made = list(evaluation_batches(dataset.test, dataset, batch_size=16).as_numpy_iterator())
    assert [len(labels) for _, labels in made] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in made]), dataset.test.labels)
    pixels = np.concatenate([pixels for pixels, _ in made])
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(pixels.std(axis=(0, 1, 2)), 1, rtol=1e-5)


def test_rows_of_pixels_in_memory_are_read():
    dataset, rows = make_dataset(), np.array([7, 0, 49])
    images = Images(dataset.train.pixels, dataset.train.labels[rows], rows)
    ((pixels, labels),) = evaluation_batches(images, dataset, batch_size=16).as_numpy_iterator()
    np.testing.assert_array_equal(labels, rows)
    np.testing.assert_allclose(pixels, (dataset.train.pixels[rows] - dataset.mean) / dataset.std, atol=1e-5)


def digest(made) -> str:
    joined = b"".join(array.tobytes() for batch in made for array in batch)
    return hashlib.sha256(joined).hexdigest()


def run_apart(code: str) -> str:
    """Runs code in a process of its own, where this file's names are known; returns what it prints."""
    start = f"import runpy; globals().update(runpy.run_path({__file__!r}))\n"
    finished = subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_another_process_makes_the_same_batches():
    assert run_apart("print(digest(batches(make_dataset())))") == digest(batches(make_dataset()))


def test_two_replicas_share_each_global_batch_in_order():
    run_apart("""
    cpus = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    dataset = make_dataset()

    def joined(made):
        shares = [[strategy.experimental_local_results(part) for part in batch]
                  for batch in strategy.experimental_distribute_dataset(made)]
        assert all(len(share[1]) == 2 for share in shares)
        assert {len(share[1][0]) for share in shares[:3]} == {4}
        return [tuple(np.concatenate([half.numpy() for half in part]) for part in share) for share in shares]

    made = training_batches(dataset.train, dataset, batch_size=8, seed=0, first_step=2, steps=12)
    assert_same(joined(made), batches(dataset, first_step=2))
    made = evaluation_batches(dataset.test, dataset, batch_size=8)
    assert_same(joined(made), list(made.as_numpy_iterator()))
    """)
