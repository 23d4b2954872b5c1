"""Photographs become images of one size as NumPy and Pillow make them, and random crops are those of PyTorch."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers.photographs import exif

from kd_bench.data.decoding import decode_image, decoded_window
from kd_bench.data.framing import RATIO, Framing, RandomCrop, centre, framing, random_window, resized
from kd_bench.data.headers import stated_size
from kd_bench.data.orientation import orientation, upright_size
from kd_bench.errors import DataError

PHOTOS = sorted(Path(__file__).parents[3].glob("shared/data/photos/*/*.jpg"))
IMAGENET = RandomCrop(scale=(0.08, 1.0))

on_photographs = pytest.mark.skipif(not PHOTOS, reason="the photographs are not here")


def smooth(height, width, channels=3):
    """Returns an image without noise, which a JPEG keeps to within a few levels."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (9 + channel)) + np.cos(columns / (13 - channel)) for channel in range(channels)]
    return np.clip(np.stack(waves, axis=-1) * 60 + 128, 0, 255).astype(np.uint8)


def jpeg(pixels, insert=b""):
    content = tf.io.encode_jpeg(pixels, quality=95).numpy()
    return content[:2] + insert + content[2:]


def drawn_window(size, seed, crop):
    """Draws the part of an image as PyTorch's RandomResizedCrop does, with the same uniform numbers."""
    numbers = tf.random.stateless_uniform([4, 10], seed).numpy().astype(float)
    height, width = size
    for share, aspect, down, right in numbers.T:
        area = height * width * (crop.scale[0] + (crop.scale[1] - crop.scale[0]) * share)
        low, high = map(math.log, crop.ratio)
        ratio = math.exp(low + (high - low) * aspect)
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return [int(down * (height - h + 1)), int(right * (width - w + 1)), h, w]
    w, h = width, height
    if width / height < crop.ratio[0]:
        h = round(width / crop.ratio[0])
    elif width / height > crop.ratio[1]:
        w = round(height * crop.ratio[1])
    return [(height - h) // 2, (width - w) // 2, h, w]


@pytest.mark.parametrize("size", [(375, 500), (121, 68), (40, 900), (3, 1), (1600, 2400)])
@pytest.mark.parametrize("crop", [IMAGENET, RandomCrop(scale=(0.9, 1.0), ratio=(1.0, 1.0))], ids=["usual", "large"])
def test_windows_are_those_of_pytorch(size, crop):
    draw = tf.function(lambda seed: random_window(tf.constant(size), seed, crop), autograph=False)
    for number in range(30):
        found, expected = draw(tf.constant([7, number])).numpy(), drawn_window(size, [7, number], crop)
        np.testing.assert_allclose(found, expected, atol=1)  # of float32 against float64
        assert (found[:2] >= 0).all() and (found[2:] > 0).all() and (found[:2] + found[2:] <= size).all()


def test_windows_cover_the_shares_and_aspects_evenly():
    draw = tf.function(lambda seed: random_window(tf.constant([1000, 1000]), seed, IMAGENET), autograph=False)
    windows = np.stack([draw(tf.constant([0, number])) for number in range(400)]).astype(float)
    share, ratio = windows[:, 2] * windows[:, 3] / 1e6, windows[:, 3] / windows[:, 2]
    assert 0.07 < share.min() < 0.12 and 0.45 < share.mean() < 0.58 and share.max() > 0.9
    assert RATIO[0] - 0.01 < ratio.min() and ratio.max() < RATIO[1] + 0.01 and abs(np.log(ratio).mean()) < 0.03


@pytest.mark.parametrize("size", [(90, 121), (200, 64), (64, 64), (30, 41)])
def test_the_centre_is_that_of_pillow(size):
    image = pytest.importorskip("PIL.Image")
    pixels = smooth(*size)
    scale = 64 / min(size)
    scaled = image.fromarray(pixels).resize((int(size[1] * scale), int(size[0] * scale)), image.Resampling.BILINEAR)
    left, top = (round((side - 48) / 2) for side in scaled.size)
    expected = np.asarray(scaled.crop((left, top, left + 48, top + 48))).astype(int)
    assert np.abs(centre(tf.constant(pixels), 64, 48).numpy() - expected).max() <= 1


def test_squashing_changes_the_aspect_and_cropping_does_not():
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 255  # a square in the middle
    crop, squash = (Framing(size=10, channels=3, resize=resize).framed(pixels).numpy() for resize in ("crop", "squash"))
    assert crop[:, 1:-1].min() == 255 and squash[:, 1].max() < 20 and squash[:, 5].min() == 255


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stated", range(1, 9))
def test_a_part_of_a_turned_photograph_is_that_part_of_the_upright_one(stated, channels):
    data = jpeg(smooth(60, 90), exif(stated))
    upright = decode_image(data, channels).numpy().astype(int)
    given = tf.constant(data), tf.constant(stated_size(data)), tf.constant(stated)
    assert upright_size(*given[1:]).numpy().tolist() == list(upright.shape[:2])
    top, left, height, width = window = (7, 20, 31, 24)
    part = decoded_window(*given, tf.constant(window), channels).numpy()
    # Colours of a JPEG are stored at half the size and smoothed: at the edge of a part without their neighbours.
    assert np.abs(part - upright[top : top + height, left : left + width]).max() <= 8


def test_a_part_of_a_png_is_exact():
    pixels = smooth(30, 40)
    data = tf.io.encode_png(pixels)
    found = decoded_window(data, tf.constant([30, 40]), tf.constant(1), tf.constant([3, 5, 20, 30]), 3)
    np.testing.assert_array_equal(found, pixels[3:23, 5:35])


@on_photographs
def test_random_crops_of_photographs_are_those_of_pillow():
    image = pytest.importorskip("PIL.Image")
    frame = Framing(size=64, channels=3, crop=IMAGENET)
    crop = tf.function(frame.random, autograph=False)
    for number, path in enumerate(PHOTOS[::18]):
        data = path.read_bytes()
        given = tf.constant(data), tf.constant(stated_size(data)), tf.constant(orientation(data))
        found = crop(*given, tf.constant([3, number])).numpy()
        photograph = image.open(io.BytesIO(data)).convert("RGB")
        top, left, height, width = random_window(tf.constant(photograph.size[::-1]), [3, number], IMAGENET).numpy()
        part = photograph.crop((left, top, left + width, top + height))
        difference = np.abs(found - np.asarray(part.resize((64, 64), image.Resampling.BILINEAR)).astype(int))
        assert difference.mean() < 1.5 and np.quantile(difference, 0.99) <= 6, path


@on_photographs
def test_test_images_of_photographs_are_those_of_pillow():
    image = pytest.importorskip("PIL.Image")
    for path in PHOTOS[::18]:
        photograph = image.open(path).convert("RGB")
        sides = [max(side * 72 // min(photograph.size), 72) for side in photograph.size]
        scaled = photograph.resize(sides, image.Resampling.BILINEAR)
        left, top = (round((side - 64) / 2) for side in scaled.size)
        expected = np.asarray(scaled.crop((left, top, left + 64, top + 64))).astype(int)
        difference = np.abs(centre(decode_image(path.read_bytes(), 3), 72, 64).numpy() - expected)
        assert difference.mean() < 1.5 and np.quantile(difference, 0.99) <= 6, path


def test_resizing_is_that_of_pillow():
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (83, 47, 3), np.uint8)
    for size in ((20, 30), (83, 40), (120, 60)):
        expected = np.asarray(image.fromarray(pixels).resize(size[::-1], image.Resampling.BILINEAR)).astype(int)
        assert np.abs(resized(pixels, size).numpy() - expected).max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": None, "crop_scale": [0.5, 1]}, r"^dataset\.crop_scale=\[0\.5, 1\]: needs a size"),
        ({"image_size": None, "short_side": 9}, r"^dataset\.short_side=9: needs a size"),
        ({"image_size": 8, "short_side": 7, "resize": "crop"}, r"^dataset\.short_side=7: must be at least"),
        ({"image_size": 8, "short_side": 9}, r"^dataset\.short_side=9: .* needs dataset\.resize=crop"),
        ({"image_size": 8, "crop_scale": [1, 0.5]}, r"^dataset\.crop_scale=\[1, 0\.5\]: must be the least and"),
        ({"image_size": 8, "crop_scale": [1]}, r"^dataset\.crop_scale=\[1\]: must be the least and"),
        ({"image_size": 8, "crop_scale": [1, 1], "crop_ratio": [2, 1]}, r"^dataset\.crop_ratio=\[2, 1\]: must be"),
    ],
)
def test_options_that_contradict_each_other(options, message):
    usual = {"channels": 3, "resize": "squash", "short_side": None, "crop_scale": None, "crop_ratio": None}
    with pytest.raises(DataError, match=message):
        framing(**usual | options)
