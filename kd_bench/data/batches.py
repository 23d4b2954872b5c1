"""Batches as a pure function of (seed, step), so that a resumed run sees the same batches as an uninterrupted one."""

import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from kd_bench.config.augmentation import NO_AUGMENTATION, Augmentation
from kd_bench.data.augmentation import colour_jitter, mix, rand_augment
from kd_bench.data.encoded import EncodedPixels
from kd_bench.data.images import ImageDataset, Images
from kd_bench.data.reading import decoded_for_evaluation, decoded_for_training, reader, without_autograph
from kd_bench.errors import DataError
from kd_bench.seeds import seed_for

_WORKERS = min(8, os.cpu_count() or 1)
_PREFETCHED = 4
"""Batches that are kept ready. Not `AUTOTUNE`: on busy cores its thread delays the end of each run."""
_LARGE = 1 << 25
"""Batches with more values than this, 128 MB in float32, are made and kept ready two at a time."""


def training_batches(
    images: Images,
    dataset: ImageDataset,
    *,
    batch_size: int,
    seed: int,
    first_step: int,
    steps: int,
    augmentation: Augmentation = NO_AUGMENTATION,
) -> tf.data.Dataset:
    """Yields the batches of the steps `first_step` to `steps - 1`: shuffled each epoch, augmented, normalised.

    Args:
        images: the images to learn from, N of them.
        dataset: how to crop, flip and normalise.
        batch_size: B, over all replicas.
        seed: the run's seed; decides the order of each epoch and the augmentation of each batch.
        first_step: 0, or the step at which a resumed run continues.
        steps: number of steps in the whole run; N // B per epoch (each epoch leaves out different images).
        augmentation: what is done after cropping and flipping.

    Returns:
        Images float32 [B, H, W, C]; labels int32 [B] or, if images are mixed, the shares of the classes float32 [B, K];
        and the indices of the images in `images`, int32 [B].

    Raises:
        DataError: a batch has more images than the set, or the padding is not smaller than the images.
    """
    require_batches(images, dataset, batch_size)
    augmentation_seed = seed_for(seed, "augmentation")
    changes = {"colour_jitter": colour_jitter(augmentation), "rand_augment": rand_augment(augmentation)}
    mixed = mix(augmentation)

    def seed_of(purpose: str, step: tf.Tensor) -> tf.Tensor:
        return tf.stack([seed_for(seed, purpose), tf.cast(step, tf.int32)])

    @without_autograph
    def batch(
        step: tf.Tensor, indices: tf.Tensor, pixels: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        chosen = augment(pixels, (augmentation_seed, step), dataset.padding, dataset.flip)
        for purpose, change in changes.items():
            if change:
                chosen = change(chosen, seed_of(purpose, step))
        if mixed:
            chosen, targets = mixed(chosen, tf.one_hot(targets, dataset.num_classes), seed_of("mix", step))
        return normalise(chosen, dataset.mean, dataset.std), targets, indices

    order = _order(len(images), batch_size, seed_for(seed, "shuffle"), first_step, steps)
    if isinstance(images.pixels, EncodedPixels):
        decoded = decoded_for_training(order, images, images.pixels, batch_size, partial(seed_of, "crop"))
        return _kept_ready(decoded, batch, batch_size * math.prod(images.pixels.shape[1:]))
    read = reader(images)
    return _kept_ready(order, lambda step, indices: batch(step, indices, *read(indices)))


def require_batches(images: Images, dataset: ImageDataset, batch_size: int) -> None:
    """Checks that the images are enough for one batch. Call it before computing the number of steps.

    Raises:
        DataError: a batch has more images than the set, or the padding is not smaller than the images.
    """
    count, (height, width) = len(images), images.pixels.shape[1:3]
    if batch_size > count:
        raise DataError(
            f"batch_size={batch_size}: there are only {count} training images; lower batch_size to {count} or less, or "
            "raise fraction."
        )
    if dataset.padding >= min(height, width):
        raise DataError(f"dataset.padding={dataset.padding}: must be below the images' size, {height}x{width}.")


def evaluation_batches(images: Images, dataset: ImageDataset, *, batch_size: int) -> tf.data.Dataset:
    """Yields all images once, in order, normalised: float32 [B, H, W, C] and int32 [B]; the last batch is smaller."""

    @without_autograph
    def prepare(pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return normalise(pixels, dataset.mean, dataset.std), labels

    if isinstance(images.pixels, EncodedPixels):
        decoded = decoded_for_evaluation(images, images.pixels, batch_size)
        return _kept_ready(decoded, prepare, batch_size * math.prod(images.pixels.shape[1:]))
    read = reader(images)
    batches = tf.data.Dataset.range(len(images), output_type=tf.int32).batch(batch_size)
    return _kept_ready(batches, lambda indices: prepare(*read(indices)))


def _kept_ready(batches: tf.data.Dataset, finish: Callable[..., Any], values: int = 0) -> tf.data.Dataset:
    """Returns finished batches, some of which are made before they are needed.

    Args:
        batches: unfinished.
        finish: what is left to do with each.
        values: the number of values in a batch, if it can be large.
    """
    at_once, kept = (2, 2) if values > _LARGE else (_WORKERS, _PREFETCHED)
    finished = batches.map(without_autograph(finish), num_parallel_calls=at_once, deterministic=True)
    return finished.prefetch(kept).with_options(_options())


def augment(pixels: tf.Tensor, seed: tuple[int, tf.Tensor], padding: int, flip: bool) -> tf.Tensor:
    """Crops and flips each image at random.

    Args:
        pixels: uint8 [B, H, W, C].
        seed: two integers; the same integers give the same crops and flips.
        padding: 0 for no crop.
        flip: False for no flip.

    Returns:
        uint8 [B, H, W, C].
    """
    count = tf.shape(pixels)[0]
    offset_seed, flip_seed = tf.unstack(tf.random.split(tf.stack([tf.cast(part, tf.int32) for part in seed])))
    offsets = tf.random.stateless_uniform([count, 2], offset_seed, maxval=2 * padding + 1, dtype=tf.int32)
    flips = tf.random.stateless_uniform([count], flip_seed) < (0.5 if flip else 0.0)
    if padding:
        return crop_and_flip(pixels, offsets, flips, padding)
    # The same as a crop of the whole image, and faster.
    return tf.where(flips[:, tf.newaxis, tf.newaxis, tf.newaxis], tf.reverse(pixels, [2]), pixels) if flip else pixels


def crop_and_flip(pixels: tf.Tensor, offsets: tf.Tensor, flips: tf.Tensor, padding: int) -> tf.Tensor:
    """Pads each image by reflection, crops it to its original size at its offset, and mirrors it if `flips` says so.

    It makes no padded image: reflection, crop and flip together select rows and columns.

    Args:
        pixels: any dtype [B, H, W, C].
        offsets: int32 [B, 2], top and left of the crop in the padded image, 0 to 2 * padding.
        flips: bool [B].
        padding: below H and W.

    Returns:
        The same dtype and shape as `pixels`.
    """
    height, width = tf.shape(pixels)[1], tf.shape(pixels)[2]
    rows = _reflected(offsets[:, :1] - padding + tf.range(height), height)
    columns = _reflected(offsets[:, 1:] - padding + tf.range(width), width)
    columns = tf.where(flips[:, tf.newaxis], columns[:, ::-1], columns)
    return tf.gather(tf.gather(pixels, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


def _reflected(positions: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Maps positions outside 0 to size-1 to the positions that they mirror; the edge is not repeated."""
    last = size - 1
    return last - tf.abs(last - tf.abs(positions))


def normalise(pixels: tf.Tensor, mean: np.ndarray, std: np.ndarray) -> tf.Tensor:
    """Returns float32 (pixels - mean) / std, with mean and std float32 [C] on the scale of the pixels."""
    return (tf.cast(pixels, tf.float32) - mean) / std


def _order(count: int, batch_size: int, shuffle_seed: int, first_step: int, steps: int) -> tf.data.Dataset:
    """Yields (step int64, indices int32 [B]) from `first_step` on; each epoch has a new permutation."""
    in_epoch = count // batch_size

    @without_autograph
    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        # Not `index_shuffle`: for a thousand images, some of its permutations are far from random.
        order = tf.random.experimental.stateless_shuffle(tf.range(count), tf.stack([shuffle_seed, epoch]))
        indices = tf.reshape(order[: in_epoch * batch_size], [in_epoch, batch_size])
        return tf.data.Dataset.from_tensor_slices((epoch * in_epoch + tf.range(in_epoch, dtype=tf.int64), indices))

    remaining = max(0, steps - first_step)
    epochs = tf.data.Dataset.range(first_step // in_epoch, -(-steps // in_epoch))
    batches = epochs.flat_map(epoch_order).skip(first_step % in_epoch).take(remaining)
    return batches.apply(tf.data.experimental.assert_cardinality(remaining))


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    # Several workers share each global batch. AUTO would try to share files, and there are none.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
