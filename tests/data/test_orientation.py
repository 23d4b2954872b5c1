"""Photographs that cameras stored turned: hand-made EXIF, in both byte orders, and what is no EXIF."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.photographs import exif

from kd_bench.data.orientation import orientation, upright

IMAGE = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., None]
SEEN = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}
"""What a viewer shows, by the stated orientation."""


def jpeg(*segments, pixels=b"\xff\xda\0\x02pixels\xff\xd9"):
    return b"\xff\xd8" + b"".join(segments) + pixels


JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


@pytest.mark.parametrize("stated", SEEN)
def test_a_viewer_shows_it_so(stated):
    assert upright(IMAGE, tf.constant(stated))[..., 0].numpy().tolist() == SEEN[stated]
    for order in ("little", "big"):
        for kind in (3, 4):
            assert orientation(jpeg(JFIF, exif(stated, order, kind))) == stated


NOTHING = {
    "empty": b"",
    "another format": b"\x89PNG\r\n\x1a\n" + exif(6),
    "no EXIF": jpeg(JFIF),
    "EXIF after the pixels": jpeg(JFIF) + exif(6),
    "another tag": jpeg(exif(6, tag=0x0113)),
    "not a number from 1 to 8": jpeg(exif(9)),
    "nought": jpeg(exif(0)),
    "another byte order": jpeg(exif(6).replace(b"II", b"XX")),
    "another application": jpeg(exif(6).replace(b"Exif", b"http")),
    "cut short in the head": jpeg(exif(6))[:14],
    "cut short in the tags": jpeg(exif(6))[:40],
    "tags that are elsewhere": jpeg(exif(6).replace(b"\x08\0\0\0", b"\xff\xff\xff\xff")),
    "a segment without a length": jpeg(b"\xff\xe0\0\0" * 100),
    "only markers": b"\xff\xd8" + b"\xff" * 1001,
}


@pytest.mark.parametrize("kind", NOTHING)
def test_what_states_no_orientation_is_upright(kind):
    assert orientation(NOTHING[kind]) == 1


def test_it_is_what_pillow_does(generator):
    """Pillow is not needed; where it is installed, it must agree."""
    image = pytest.importorskip("PIL.Image")
    operations = pytest.importorskip("PIL.ImageOps")
    pixels = generator.integers(0, 256, (4, 6, 3), np.uint8)
    for stated in SEEN:
        photograph = image.fromarray(pixels)
        photograph.getexif()[0x0112] = stated
        found = upright(pixels, tf.constant(stated))
        np.testing.assert_array_equal(found, np.asarray(operations.exif_transpose(photograph)))
