"""Decodes an image file to the pixels that viewers show."""

from typing import Literal

import numpy as np
import tensorflow as tf

from kd_bench.data.orientation import orientation, upright

_MOST_PIXELS = 2**27
"""More than a camera has. A file of a few bytes can ask for more than the memory holds."""
_PALETTE_BITS = 8


def decode_image(data: bytes, channels: Literal[1, 3]) -> tf.Tensor:
    """Returns an image, uint8 `[H,W,C]`, turned as its EXIF says; of an animation the first picture.

    Args:
        data: the content of a BMP, GIF, JPEG or PNG file.
        channels: 3, or 1 for gray.

    Raises:
        ValueError: it has too many pixels, or colours that TensorFlow would not read.
        tf.errors.OpError: it cannot be decoded.
    """
    height, width = _size(data)
    if height * width > _MOST_PIXELS:
        raise ValueError(f"its {height}x{width} pixels are more than {_MOST_PIXELS:,}")
    if _has_palette(data):
        raise ValueError("it is a BMP file with a palette; save it as PNG")
    pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
    turned = upright(pixels.numpy(), orientation(data))
    # Not all formats are decoded as gray.
    return tf.image.rgb_to_grayscale(turned) if channels == 1 else tf.constant(turned)


def _size(data: bytes) -> tuple[int, int]:
    """Returns the height and width that a file states; 0 and 0 if it is none that is known."""
    if data[:4] == b"\x89PNG":
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if data[:3] == b"GIF":
        return int.from_bytes(data[8:10], "little"), int.from_bytes(data[6:8], "little")
    if data[:2] == b"BM":
        return abs(int.from_bytes(data[22:26], "little", signed=True)), int.from_bytes(data[18:22], "little")
    if data[:2] == b"\xff\xd8":
        height, width, _ = tf.io.extract_jpeg_shape(data).numpy().tolist()
        return height, width
    return 0, 0


def _has_palette(data: bytes) -> bool:
    """Returns whether a file is a BMP of colours in a palette, whose numbers TensorFlow takes for gray values."""
    if data[:2] != b"BM" or int.from_bytes(data[28:30], "little") > _PALETTE_BITS:
        return False
    start, end = 14 + int.from_bytes(data[14:18], "little"), int.from_bytes(data[10:14], "little")
    colours = np.frombuffer(data[start : end - (end - start) % 4], np.uint8).reshape(-1, 4)[:, :3]
    return not np.array_equal(colours, np.arange(len(colours), dtype=np.uint8)[:, None].repeat(3, axis=1))
