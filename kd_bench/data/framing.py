"""How photographs of any size become images of one size, by functions that can be part of a graph.

Random resized crops are those of Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6, as PyTorch's
`RandomResizedCrop` draws them; the test images are resized and cropped as there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from kd_bench.data.decoding import decoded, decoded_window
from kd_bench.data.orientation import upright_size
from kd_bench.errors import DataError

Resize = Literal["crop", "squash"]
"""How an image gets another shape: by a crop from its centre, or by another aspect."""
_ATTEMPTS = 10
"""So many windows are drawn; of those that do not fit into the image, none is taken (PyTorch)."""
RATIO = (3 / 4, 4 / 3)


@dataclass(frozen=True, kw_only=True)
class RandomCrop:
    """Random resized crops.

    Attributes:
        scale: the least and the largest share of the image's area.
        ratio: the least and the largest width over height.
    """

    scale: tuple[float, float]
    ratio: tuple[float, float] = RATIO


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How the images of a set get one size.

    Attributes:
        size: height and width; None keeps those of the file.
        channels: 3, or 1 for gray.
        resize: how an image that is not square gets square.
        short_side: to which the shorter side is resized before a crop from the centre; None for `size`.
        crop: how a training image is cropped instead; None: as a test image.
    """

    size: int | None
    channels: int
    resize: Resize = "squash"
    short_side: int | None = None
    crop: RandomCrop | None = None

    def whole(self, data: tf.Tensor, stated: tf.Tensor) -> tf.Tensor:
        """Returns the image of a file for testing, uint8 `[H,W,C]`; the arguments are those of `decoded`."""
        return self.framed(decoded(data, stated, self.channels))

    def framed(self, pixels: tf.Tensor) -> tf.Tensor:
        """Returns an image `[H,W,C]` in the size, uint8."""
        if self.size is None:
            return pixels
        if self.resize == "squash":
            return resized(pixels, (self.size, self.size))
        return centre(pixels, self.short_side or self.size, self.size)

    def random(self, data: tf.Tensor, stored: tf.Tensor, stated: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the image of a file for training, uint8 `[size,size,C]`.

        The seed is int32 `[2]`, and the others are as of `decoded_window`.
        """
        if self.crop is None:
            return self.whole(data, stated)
        window = random_window(upright_size(stored, stated), seed, self.crop)
        return resized(decoded_window(data, stored, stated, window, self.channels), (self.size, self.size))


def framing(
    image_size: int | None,
    channels: int,
    resize: Resize,
    short_side: int | None,
    crop_scale: Sequence[float] | None,
    crop_ratio: Sequence[float] | None,
) -> Framing:
    """Returns the framing that the options of a data set describe; they are those of `load_folder`.

    Raises:
        DataError: two of them contradict each other.
    """
    if image_size is None:
        for key, value in {"crop_scale": crop_scale, "short_side": short_side}.items():
            if value is not None:
                raise DataError(f"dataset.{key}={value}: needs a size of the images, such as dataset.image_size=224.")
    elif short_side is not None and (short_side < image_size or resize == "squash"):
        raise DataError(
            f"dataset.short_side={short_side}: must be at least dataset.image_size={image_size}, and needs "
            "dataset.resize=crop."
        )
    if crop_scale is None:
        return Framing(size=image_size, channels=channels, resize=resize, short_side=short_side)
    ratio = RATIO if crop_ratio is None else (*crop_ratio,)
    for key, limits in {"crop_scale": crop_scale, "crop_ratio": ratio}.items():
        if len(limits) != 2 or limits[0] > limits[1]:  # noqa: PLR2004
            raise DataError(f"dataset.{key}={list(limits)}: must be the least and the largest value, such as [0.5,1].")
    crop = RandomCrop(scale=(crop_scale[0], crop_scale[1]), ratio=(ratio[0], ratio[1]))
    return Framing(size=image_size, channels=channels, resize=resize, short_side=short_side, crop=crop)


def resized(image: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Returns an image `[H,W,C]` in another height and width, uint8."""
    values = tf.image.resize(image, size, antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8)


def centre(pixels: tf.Tensor, short_side: int, size: int) -> tf.Tensor:
    """Returns the centre of an image whose shorter side is first resized: uint8 `[size,size,C]`.

    Args:
        pixels: `[H,W,C]`.
        short_side: at least `size`.
        size: of the centre.
    """
    stored = tf.shape(pixels)[:2]
    scaled = tf.maximum(stored * short_side // tf.reduce_min(stored), short_side)
    # The nearest whole number; of two, the even one, as Python rounds.
    top, left = tf.unstack(tf.cast(tf.round(tf.cast(scaled - size, tf.float32) / 2), tf.int32))
    return tf.ensure_shape(
        resized(pixels, scaled)[top : top + size, left : left + size], [size, size, pixels.shape[-1]]
    )


def random_window(size: tf.Tensor, seed: tf.Tensor, crop: RandomCrop) -> tf.Tensor:
    """Draws a part of an image: top, left, height and width, int32 `[4]`.

    Its share of the area is uniform, and so is the logarithm of its aspect. If none of the attempts fits, it is the
    largest part from the centre whose aspect is allowed.

    Args:
        size: height and width of the image, int32 `[2]`.
        seed: int32 `[2]`; the same seed draws the same part.
        crop: the limits.
    """
    drawn = tf.random.stateless_uniform([4, _ATTEMPTS], seed)
    height, width = tf.unstack(tf.cast(size, tf.float32))
    area = height * width * (crop.scale[0] + (crop.scale[1] - crop.scale[0]) * drawn[0])
    logarithms = [math.log(limit) for limit in crop.ratio]
    ratio = tf.exp(logarithms[0] + (logarithms[1] - logarithms[0]) * drawn[1])
    sides = tf.cast(tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], axis=1))), tf.int32)
    fits = tf.reduce_all((sides > 0) & (sides <= size), axis=1)
    places = tf.cast(tf.transpose(drawn[2:]) * tf.cast(size - sides + 1, tf.float32), tf.int32)
    first = tf.argmax(fits)
    found = tf.concat([tf.minimum(places[first], size - sides[first]), sides[first]], axis=0)
    return tf.where(tf.reduce_any(fits), found, _central_window(size, crop))


def _central_window(size: tf.Tensor, crop: RandomCrop) -> tf.Tensor:
    height, width = tf.unstack(tf.cast(size, tf.float32))
    limited = tf.round(tf.stack([tf.minimum(height, width / crop.ratio[0]), tf.minimum(width, height * crop.ratio[1])]))
    inside = tf.clip_by_value(tf.cast(limited, tf.int32), 1, size)
    return tf.concat([(size - inside) // 2, inside], axis=0)
