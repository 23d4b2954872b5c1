"""Decodes an image file to the pixels that viewers show. What takes tensors can be part of a graph."""

import tensorflow as tf

from kd_bench.data.headers import require_sound
from kd_bench.data.orientation import orientation, stored_window, upright


def decode_image(data: bytes, channels: int) -> tf.Tensor:
    """Returns an image, uint8 `[H,W,C]`, turned as its EXIF says; of an animation the first picture.

    Args:
        data: the content of a BMP, GIF, JPEG or PNG file.
        channels: 3, or 1 for gray.

    Raises:
        ValueError: it has too many pixels, or colours that TensorFlow would not read.
        tf.errors.OpError: it cannot be decoded.
    """
    require_sound(data)
    return decoded(tf.constant(data), tf.constant(orientation(data)), channels)


def decoded(data: tf.Tensor, stated: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns a whole image, uint8 `[H,W,C]`, upright.

    Args:
        data: a string, the content of a file that `require_sound` accepts.
        stated: the orientation that it states, int32.
        channels: 3, or 1 for gray.
    """
    pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
    return _in_channels(upright(tf.ensure_shape(pixels, [None, None, 3]), stated), channels)


def decoded_window(
    data: tf.Tensor, stored: tf.Tensor, stated: tf.Tensor, window: tf.Tensor, channels: int
) -> tf.Tensor:
    """Returns a part of an image, uint8 `[h,w,C]`, upright. Of a JPEG, little more than this part is decoded.

    Args:
        data: as of `decoded`, like the others.
        stored: height and width of the image as it is stored, int32 `[2]`.
        stated: its orientation.
        window: int32 `[4]`, top, left, height and width of the part in the upright image.
        channels: 3, or 1 for gray.
    """
    place = stored_window(window, stored, stated)

    def of_jpeg() -> tf.Tensor:
        return tf.image.decode_and_crop_jpeg(data, place, channels=3)

    def of_another() -> tf.Tensor:
        pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
        top, left, height, width = tf.unstack(place)
        return pixels[top : top + height, left : left + width]

    part = tf.cond(tf.io.is_jpeg(data), of_jpeg, of_another)
    return _in_channels(upright(tf.ensure_shape(part, [None, None, 3]), stated), channels)


def _in_channels(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    # Not all formats are decoded as gray.
    return tf.image.rgb_to_grayscale(pixels) if channels == 1 else pixels
