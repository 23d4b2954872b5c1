"""How a pipeline gets the pixels of its batches: from memory, from decoded images on disk, or by decoding."""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kd_bench.data.encoded import EncodedPixels
from kd_bench.data.images import Images

without_autograph = tf.autograph.experimental.do_not_convert
"""No `if` here depends on a tensor. Searching for one takes longer than the rest of building a pipeline."""

_CORES = os.cpu_count() or 1


def reader(images: Images) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Returns a function that reads pixels and labels, from memory or from disk, at indices int32 [B]."""
    labels = _constant(images.labels)
    with tf.device("CPU:0"):
        # Not `tf.constant`, because it keeps a second copy.
        pixels = None if images.on_disk or images.rows is not None else tf.identity(images.pixels)

    def read(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if pixels is not None:
            return tf.gather(pixels, indices), tf.gather(labels, indices)
        chosen = tf.numpy_function(images.read, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(chosen, [None, *images.pixels.shape[1:]]), tf.gather(labels, indices)

    return read


def decoded_for_training(
    order: tf.data.Dataset,
    images: Images,
    pixels: EncodedPixels,
    batch_size: int,
    seed_of: Callable[[tf.Tensor], tf.Tensor],
) -> tf.data.Dataset:
    """Decodes and crops the images of batches, each by a seed of its own.

    Args:
        order: the step of each batch, int64, and the indices of its images, int32 [B].
        images: what is to be read.
        pixels: those of these images.
        batch_size: B.
        seed_of: returns the seed of a step, int32 [2]. That of an image depends on its place in the batch, too.

    Returns:
        Step, indices, pixels uint8 [B, H, W, C] and labels int32 [B].
    """
    read = _file_reader(images, pixels)

    @without_autograph
    def places(step: tf.Tensor, indices: tf.Tensor) -> tf.data.Dataset:
        every = tf.range(batch_size)
        return tf.data.Dataset.from_tensor_slices((tf.fill([batch_size], step), every, indices))

    @without_autograph
    def image(step: tf.Tensor, place: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        data, stored, stated, label = read(index)
        seed = tf.random.experimental.stateless_fold_in(seed_of(step), place)
        return step, index, _shaped(pixels, pixels.framing.random(data, stored, stated, seed)), label

    single = order.flat_map(places).map(image, num_parallel_calls=_CORES, deterministic=True)
    batches = single.batch(batch_size, drop_remainder=True)
    batches = batches.map(without_autograph(lambda steps, *batch: (steps[0], *batch)))
    return batches.apply(tf.data.experimental.assert_cardinality(order.cardinality()))


def decoded_for_evaluation(images: Images, pixels: EncodedPixels, batch_size: int) -> tf.data.Dataset:
    """Decodes all images once, in order: pixels uint8 [B, H, W, C] and labels int32 [B]; the last batch is smaller."""
    read = _file_reader(images, pixels)

    @without_autograph
    def image(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        data, _, stated, label = read(index)
        return _shaped(pixels, pixels.framing.whole(data, stated)), label

    order = tf.data.Dataset.range(len(images), output_type=tf.int32)
    return order.map(image, num_parallel_calls=_CORES, deterministic=True).batch(batch_size)


def _file_reader(images: Images, pixels: EncodedPixels) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
    """Returns a function from the index of an image to its content, its size, its orientation and its label."""
    labels = _constant(images.labels)
    rows = _constant(np.arange(len(images)) if images.rows is None else images.rows)

    def read(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return (*pixels.read(rows[index]), labels[index])

    return read


def _shaped(pixels: EncodedPixels, image: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(image, pixels.shape[1:])


def _constant(values: np.ndarray) -> tf.Tensor:
    # Made once, outside the graph: a constant inside a graph must not exceed 2 GB. On the CPU, where tf.data works.
    with tf.device("CPU:0"):
        return tf.constant(values, tf.int32)
