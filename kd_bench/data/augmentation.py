"""Colour jitter; RandAugment, MixUp and CutMix by Keras's layers; each as a pure function of a seed and its images."""

from collections.abc import Callable

import keras
import tensorflow as tf

from kd_bench.config.augmentation import Augmentation
from kd_bench.errors import ConfigError

_CHANNELS = (1, 3)
_LUMA = (0.299, 0.587, 0.114)
"""How much red, green and blue count for gray (ITU-R BT.601)."""

Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From pixels `[B,H,W,C]`, 0 to 255, and a seed int32 `[2]` to float32 pixels."""
Mix = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From images `[B,H,W,C]`, shares of the classes `[B,K]` and a seed int32 `[2]` to images and shares, float32."""


class _Seeds(keras.random.SeedGenerator):
    """Seeds derived from one seed. Keras's generator counts its calls in a variable, so batches depend on the past."""

    def __init__(self, seed: tf.Tensor) -> None:
        # Not Keras's constructor, because it makes the variable.
        self._seed = seed
        self._drawn = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Returns another seed at each call, the same ones for the same first seed."""
        self._drawn += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._drawn)


class _RandAugment(keras.layers.RandAugment):
    """Keras's layer with seeds from outside; Keras's ignores the argument `seed` of `get_random_transformation`."""

    def _get_seed_generator(self, backend: str | None = None) -> _Seeds:
        return self._seeds

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the images, changed by operations that the seed chooses."""
        self._seeds = _Seeds(seed)
        return self.transform_images(images, self.get_random_transformation(images))


def require_colours(augmentation: Augmentation, channels: int) -> None:
    """Raises `ConfigError` if RandAugment or colour jitter cannot change images with so many channels."""
    for name in ("rand_augment", "colour_jitter"):
        if getattr(augmentation, name) and channels not in _CHANNELS:
            raise ConfigError(
                f"augmentation.{name}={getattr(augmentation, name)}: works on gray and on RGB images, and these have "
                f"{channels} channels; set it to 0."
            )


def colour_jitter(augmentation: Augmentation) -> Change | None:
    """Returns a function from pixels `[B,H,W,C]` and a seed int32 `[2]` to float32 pixels, 0 to 255; or None."""
    strength = augmentation.colour_jitter
    if not strength:
        return None

    def change(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        drawn = tf.random.stateless_uniform([3, tf.shape(pixels)[0], 1, 1, 1], seed, 1 - strength, 1 + strength)
        return jittered(tf.cast(pixels, tf.float32), *tf.unstack(drawn))

    return change


def jittered(pixels: tf.Tensor, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
    """Changes images as Pillow's `ImageEnhance` and PyTorch's `ColorJitter` do, in this order, without rounding.

    Each factor weighs the image against another one: black, its mean gray, its gray; 1 changes nothing.

    Args:
        pixels: float32 `[B,H,W,C]`, 0 to 255, with one or three channels.
        brightness: the factor of each image, float32 `[B,1,1,1]`.
        contrast: the same.
        saturation: the same.
    """
    bright = _weighed(pixels, 0.0, brightness)
    contrasting = _weighed(bright, tf.reduce_mean(_gray(bright), axis=[1, 2, 3], keepdims=True), contrast)
    return _weighed(contrasting, _gray(contrasting), saturation)


def _weighed(pixels: tf.Tensor, other: tf.Tensor | float, factor: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(other + (pixels - other) * factor, 0.0, 255.0)


def _gray(pixels: tf.Tensor) -> tf.Tensor:
    return pixels if pixels.shape[-1] == 1 else tf.reduce_sum(pixels * _LUMA, axis=-1, keepdims=True)


def rand_augment(augmentation: Augmentation) -> Change | None:
    """Returns a function from pixels `[B,H,W,C]` and a seed int32 `[2]` to float32 pixels, 0 to 255; or None."""
    if not augmentation.rand_augment:
        return None
    with tf.device("CPU:0"):
        return _RandAugment((0, 255), augmentation.rand_augment, augmentation.magnitude).augment


def mix(augmentation: Augmentation) -> Mix | None:
    """Returns the function that mixes each image of a batch, and its label, with another of the batch; or None."""
    with tf.device("CPU:0"):
        if augmentation.mixup:
            layer = keras.layers.MixUp(augmentation.mixup)
        elif augmentation.cutmix:
            # A range from a to a, because Keras draws the parameter of the beta distribution from a range.
            layer = keras.layers.CutMix((augmentation.cutmix, augmentation.cutmix))
        else:
            return None

    def mixed(images: tf.Tensor, shares: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        transformation = layer.get_random_transformation(images, training=True, seed=_Seeds(seed))
        if augmentation.cutmix:
            # Keras's weight is that of a rectangle whose sides are not yet rounded to pixels.
            exchanged = tf.cast(transformation["batch_masks"], tf.float32)
            transformation["mix_weight"] = 1 - tf.reduce_mean(exchanged, axis=[1, 2, 3])
        return layer.transform_images(images, transformation), layer.transform_labels(shares, transformation)

    return mixed
