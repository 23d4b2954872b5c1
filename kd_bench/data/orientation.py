"""The orientation of a photograph: a camera stores its pixels as they come, and in EXIF, 1 to 8, how to turn them."""

import tensorflow as tf

from kd_bench.data.jpeg import EXIF, segments

_UPRIGHT = 1
_TAG = 0x0112
_LONG = 4
_ENTRY = 12
_EXIF = b"Exif\0\0"
_ROWS_REVERSED, _COLUMNS_REVERSED = (3, 4, 7, 8), (2, 3, 6, 7)
_FIRST_TRANSPOSED = 5


def orientation(data: bytes) -> int:
    """Returns the orientation that a JPEG file states, 1 to 8; 1, which is upright, if it states none."""
    exif = _exif(data)
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None:
        return _UPRIGHT

    def number(offset: int, size: int) -> int:
        return int.from_bytes(exif[offset : offset + size], order)  # type: ignore[arg-type]

    first = number(4, 4)
    for entry in range(first + 2, first + 2 + _ENTRY * number(first, 2), _ENTRY):
        if number(entry, 2) == _TAG:
            stated = number(entry + 8, 4 if number(entry + 2, 2) == _LONG else 2)
            return stated if 1 <= stated <= 8 else _UPRIGHT  # noqa: PLR2004 - EXIF's values
    return _UPRIGHT


def _exif(data: bytes) -> bytes:
    """Returns the EXIF part of a JPEG file, which is a TIFF file; nothing if there is none."""
    for marker, start, end in segments(data):
        if marker == EXIF and data[start : start + len(_EXIF)] == _EXIF:
            return data[start + len(_EXIF) : end]
    return b""


def upright(pixels: tf.Tensor, stated: tf.Tensor) -> tf.Tensor:
    """Returns an image `[H,W,C]` as viewers show it, `[W,H,C]` if its orientation, an int32, is above 4."""
    pixels = tf.convert_to_tensor(pixels)
    return tf.cond(stated == _UPRIGHT, lambda: pixels, lambda: _upright(pixels, stated))


def _upright(pixels: tf.Tensor, stated: tf.Tensor) -> tf.Tensor:
    pixels = tf.cond(stated >= _FIRST_TRANSPOSED, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    pixels = tf.cond(_is_one(stated, _ROWS_REVERSED), lambda: pixels[::-1], lambda: pixels)
    return tf.cond(_is_one(stated, _COLUMNS_REVERSED), lambda: pixels[:, ::-1], lambda: pixels)


def upright_size(stored: tf.Tensor, stated: tf.Tensor) -> tf.Tensor:
    """Returns the height and width of the upright image, int32 `[2]`, from those of the stored one."""
    return tf.where(stated >= _FIRST_TRANSPOSED, stored[::-1], stored)


def stored_window(window: tf.Tensor, stored: tf.Tensor, stated: tf.Tensor) -> tf.Tensor:
    """Returns where a part of the upright image is stored: top, left, height and width, int32 `[4]`.

    Args:
        window: the same of the upright image.
        stored: height and width of the stored image, int32 `[2]`.
        stated: its orientation, int32.
    """
    place, size = window[:2], window[2:]
    from_the_end = upright_size(stored, stated) - place - size
    is_reversed = tf.stack([_is_one(stated, _ROWS_REVERSED), _is_one(stated, _COLUMNS_REVERSED)])
    found = tf.stack([tf.where(is_reversed, from_the_end, place), size])
    return tf.reshape(tf.where(stated >= _FIRST_TRANSPOSED, found[:, ::-1], found), [4])


def _is_one(stated: tf.Tensor, orientations: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(stated == tf.constant(orientations))
