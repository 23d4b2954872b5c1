"""MixUp, CutMix and RandAugment: what they do to images and labels, and that it depends on seed and step alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from kd_bench.config.augmentation import NO_AUGMENTATION, Augmentation
from kd_bench.data.augmentation import colour_jitter, jittered, require_colours
from kd_bench.data.batches import training_batches
from kd_bench.data.images import ImageDataset, Images
from kd_bench.errors import ConfigError

with_ = partial(replace, NO_AUGMENTATION)
CLASSES, SIZE, CHANGES = 32, 8, [with_(mixup=0.4), with_(cutmix=1.0), with_(rand_augment=2)]


def make_dataset(channels=1):
    """Each image has one value, 8 times its label, so that a mixed pixel says what it was mixed from."""
    labels = np.arange(CLASSES, dtype=np.int32)
    pixels = np.broadcast_to((8 * labels).astype(np.uint8)[:, None, None, None], (CLASSES, SIZE, SIZE, channels))
    images = Images(np.ascontiguousarray(pixels), labels)
    mean, std = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    return ImageDataset("made", images, images, CLASSES, mean, std, 0, False)


def batches(augmentation, channels=1, first_step=0, steps=100, seed=0, count=CLASSES):
    dataset = make_dataset(channels)
    options = {"batch_size": count, "seed": seed, "first_step": first_step, "steps": steps}
    made = training_batches(dataset.train, dataset, **options, augmentation=augmentation)
    return [(images, targets) for images, targets, _ in made.as_numpy_iterator()]


def together(parts):
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


@pytest.mark.parametrize("augmentation", CHANGES, ids=["mixup", "cutmix", "rand_augment"])
def test_a_batch_depends_on_seed_and_step_alone(augmentation):
    whole, rest = batches(augmentation, steps=6), batches(augmentation, first_step=4, steps=6)
    for one, other in zip(whole[4:], rest, strict=True):
        assert all(map(np.array_equal, one, other))
    assert not np.array_equal(whole[0][0], whole[1][0])
    assert not np.array_equal(whole[0][0], batches(augmentation, steps=1, seed=1)[0][0])


def test_mixup_mixes_images_and_labels_with_the_same_weights():
    images, targets = together(batches(with_(mixup=0.4)))
    np.testing.assert_allclose(
        images,
        np.broadcast_to((targets @ (8 * np.arange(CLASSES)))[:, None, None, None], images.shape),
        rtol=1e-4,
        atol=1e-3,
    )


def test_the_weights_of_mixup_follow_the_beta_distribution():
    _, targets = together(batches(with_(mixup=0.4)))
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    weights = np.sort(targets, axis=1)[:, ::-1]
    assert not weights[:, 2:].any()
    # Var(Beta(a, a)) = 1 / (4 * (2 * a + 1)). An image mixed with itself, 1 in 32, has another weight.
    mixed = weights[(weights[:, 0] < 1)]
    assert ((mixed[:, 0] - 0.5) ** 2).mean() == pytest.approx(1 / (4 * 1.8), rel=0.1)


def test_cutmix_exchanges_one_rectangle_and_labels_by_its_area():
    images, targets = together(batches(with_(cutmix=1.0)))
    classes = np.rint(images[..., 0] / 8).astype(int)
    assert all(
        set(np.unique(image)) <= set(np.flatnonzero(shares)) for image, shares in zip(classes, targets, strict=True)
    )
    pixels = np.stack([np.bincount(image.ravel(), minlength=CLASSES) for image in classes]) / SIZE**2
    np.testing.assert_allclose(targets, pixels, atol=1e-6)
    areas = 1 - targets.max(axis=1)
    assert areas.mean() == pytest.approx(0.25, abs=0.03)  # of min(u, 1-u) for a uniform u


@pytest.mark.parametrize("channels", [1, 3])
def test_rand_augment_changes_images_and_no_label(channels):
    images, targets = together(batches(with_(rand_augment=2), channels, steps=20))
    plain, labels = together(batches(NO_AUGMENTATION, channels, steps=20))
    np.testing.assert_array_equal(targets, labels)
    assert images.shape == plain.shape and images.min() >= 0 and images.max() <= 255
    assert np.isfinite(images).all()
    assert (abs(images - plain) > 1).mean() > 0.2


def test_rand_augment_refuses_other_images_than_gray_and_rgb():
    with pytest.raises(
        ConfigError, match=r"^augmentation.rand_augment=2: works on gray and on RGB .* 4 channels; set it to 0\.$"
    ):
        require_colours(with_(rand_augment=2), 4)
    require_colours(with_(mixup=1.0), 4)


@pytest.mark.parametrize("factors", [(0.6, 1.4, 0.7), (1.3, 0.6, 1.4), (1.0, 1.0, 1.0), (1.4, 1.4, 0.0)])
def test_colour_jitter_is_that_of_pillow(factors):
    image, enhance = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageEnhance")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    expected = image.fromarray(pixels)
    for kind, factor in zip((enhance.Brightness, enhance.Contrast, enhance.Color), factors, strict=True):
        expected = kind(expected).enhance(factor)
    shaped = [tf.reshape(tf.constant(factor), [1, 1, 1, 1]) for factor in factors]
    found = jittered(tf.cast(pixels[None], tf.float32), *shaped)[0]
    assert np.abs(found - np.asarray(expected, float)).max() <= 3  # Pillow rounds after each of the three


def test_colour_jitter_depends_on_the_seed_and_differs_from_image_to_image():
    change = colour_jitter(Augmentation(magnitude=0.5, colour_jitter=0.4))
    pixels = np.full((4, 2, 2, 3), 100, np.uint8)
    once, again, other = (change(pixels, tf.constant([1, step])).numpy() for step in (5, 5, 6))
    np.testing.assert_array_equal(once, again)
    assert len({*once[:, 0, 0, 0]}) == 4 and not np.array_equal(once, other)
    assert once.min() >= 60 and once.max() <= 140
    assert colour_jitter(Augmentation(magnitude=0.5)) is None


def test_gray_images_can_be_jittered_and_others_not():
    change = colour_jitter(Augmentation(magnitude=0.5, colour_jitter=0.4))
    assert change(np.full((4, 2, 2, 1), 100, np.uint8), tf.constant([1, 1])).shape == (4, 2, 2, 1)
    with pytest.raises(ConfigError, match=r"^augmentation\.colour_jitter=0\.4: works on gray and on RGB"):
        require_colours(Augmentation(magnitude=0.5, colour_jitter=0.4), 4)
