"""Reads a set of TensorFlow Datasets by name, into memory or, if it is too large, into a file of decoded images."""

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from kd_bench.checks import NonNegativeInt, PositiveInt
from kd_bench.data.damage import reason, require_whole_slices, unreadable_split, unusable, way_out
from kd_bench.data.images import ImageDataset, Images, channel_statistics, in_canonical_order
from kd_bench.data.preparation import find_builder, prepare, quietly
from kd_bench.data.streaming import decoded
from kd_bench.errors import DataError

__all__ = ["DataError", "ImageDataset", "Images", "load_dataset"]

_BLOCK = 256
_IMAGE_RANK = 3
_ANOTHER = "choose a set for image classification"


def load_dataset(
    name: str,
    *,
    train_split: str = "train",
    test_split: str = "test",
    image_size: PositiveInt | None = None,
    padding: NonNegativeInt = 4,
    flip: bool = True,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    streaming: bool = False,
) -> ImageDataset:
    """Loads any image classification set of TensorFlow Datasets, or one of ours (`digits`).

    The order of the images is a function of the images and labels of their split, and not of the files that hold them:
    subsets, shuffles, fingerprint and results are the same for all copies of a set. A slice alone is cut in the files'
    order, so that two copies of different order give different slices.

    Args:
        name: of the set, as `tfds.builder` takes it.
        train_split: to train on; slices such as `train[:90%]`, in the files' order, hold images out for validation.
        test_split: to test on.
        image_size: resizes images to this height and width; needed where a set's images vary in size.
        padding: see `ImageDataset`.
        flip: see `ImageDataset`.
        data_dir: where prepared sets are and are written to; `~/tensorflow_datasets` unless given.
        manual_dir: where a set's files are, fetched by hand, under the names they have on the network.
        streaming: leaves the images on disk, decoded, beside the prepared set; the results are the same.

    Raises:
        DataError: the set is unknown, has no images with labels, varies in size, lacks a split, or cannot be prepared.
    """
    builder = find_builder(name, data_dir, manual_dir)
    shape = _image_shape(builder, image_size)
    _check_labels(builder)
    if padding >= min(shape[:2]):
        raise DataError(f"dataset.padding={padding}: must be below the images' size, {shape[0]}x{shape[1]}.")
    prepare(builder, manual_dir)
    read = _stream if streaming else _read
    train, test = (read(builder, split, shape, key) for split, key in ((train_split, "train"), (test_split, "test")))
    _check_classes(train, test, train_split, test_split)
    mean, std = channel_statistics(train.pixels)
    num_classes = builder.info.features[builder.info.supervised_keys[1]].num_classes
    return ImageDataset(name, train, test, num_classes, mean, std, padding, flip)


def _image_shape(builder: tfds.core.DatasetBuilder, image_size: int | None) -> tuple[int, int, int]:
    """Returns the height, width and channels of the images in memory, before anything is downloaded."""
    image, _ = _supervised_features(builder)
    shape = tuple(image.shape)
    if not isinstance(image, tfds.features.Image) or len(shape) != _IMAGE_RANK or image.np_dtype != np.uint8:
        raise DataError(
            f"dataset.name={builder.name}: its inputs are {image}, not images of 8 bits a channel; {_ANOTHER}."
        )
    height, width, channels = shape
    if channels is None:
        raise DataError(f"dataset.name={builder.name}: its images vary in their number of channels; {_ANOTHER}.")
    if image_size is not None:
        return image_size, image_size, channels
    if height is None or width is None:
        raise DataError(
            f"dataset.name={builder.name}: its images vary in size; set one, such as dataset.image_size=32."
        )
    return height, width, channels


def _check_labels(builder: tfds.core.DatasetBuilder) -> None:
    _, label = _supervised_features(builder)
    if not isinstance(label, tfds.features.ClassLabel) or not label.num_classes:
        raise DataError(
            f"dataset.name={builder.name}: its targets are {label}, not one of a number of classes; {_ANOTHER}."
        )


def _supervised_features(builder: tfds.core.DatasetBuilder) -> tuple[Any, Any]:
    keys, features = builder.info.supervised_keys, builder.info.features
    if keys is None or len(keys) != 2 or not all(isinstance(key, str) and key in features for key in keys):  # noqa: PLR2004
        raise DataError(
            f"dataset.name={builder.name}: does not say which feature is the image and which the label "
            f"(it has {', '.join(features)}); {_ANOTHER}."
        )
    return features[keys[0]], features[keys[1]]


def _read(builder: tfds.core.DatasetBuilder, split: str, shape: tuple[int, int, int], key: str) -> Images:
    """Reads a split into memory."""
    count = _count(builder, split, key)
    pixels, labels = np.empty((count, *shape), np.uint8), np.empty(count, np.int32)
    _fill(builder, split, shape, pixels, labels)
    return in_canonical_order(_checked(Images(pixels, labels), builder, split, key))


def _stream(builder: tfds.core.DatasetBuilder, split: str, shape: tuple[int, int, int], key: str) -> Images:
    """Decodes a split into a file, once, and leaves it there."""
    count = _count(builder, split, key)
    folder = Path(builder.data_dir)
    # Its name must not be one that TensorFlow Datasets takes for a version.
    place = folder.parent / f"decoded.{folder.name}" / f"{quote(split, safe='')}-{'x'.join(map(str, shape))}"
    try:
        images = decoded(place, (count, *shape), partial(_fill, builder, split, shape))
    except DataError:  # of the set it is decoded from
        raise
    except (OSError, ValueError) as error:
        raise unusable(place, reason(error), place) from error
    return in_canonical_order(_checked(images, builder, split, key))


def _fill(
    builder: tfds.core.DatasetBuilder, split: str, shape: tuple[int, int, int], pixels: np.ndarray, labels: np.ndarray
) -> None:
    require_whole_slices(builder, split)
    read = 0
    try:
        for block_pixels, block_labels in _blocks(builder, split, shape):
            filled = slice(read, read + len(block_labels))
            pixels[filled], labels[filled] = block_pixels, block_labels
            read = filled.stop
    except (tf.errors.OpError, OSError, ImportError) as error:
        raise unreadable_split(builder, split, f"cannot be read: {reason(error)}") from error
    if read != len(labels):
        raise unreadable_split(builder, split, f"holds {read} images, not {len(labels)}")


def _count(builder: tfds.core.DatasetBuilder, split: str, key: str) -> int:
    try:
        count = builder.info.splits[split].num_examples
    except (KeyError, ValueError, AssertionError) as error:
        raise DataError(
            f"dataset.{key}_split={split}: {builder.name} has the splits {', '.join(builder.info.splits)}; "
            f"name one, or a slice such as train[:90%]. If one is missing there, {way_out(Path(builder.data_dir))}."
        ) from error
    if not count:
        raise DataError(
            f"dataset.{key}_split={split}: holds no images of {builder.name}; name another split or a wider slice. "
            f"If it should hold some, {way_out(Path(builder.data_dir))}."
        )
    return count


def _blocks(builder: tfds.core.DatasetBuilder, split: str, shape: tuple[int, int, int]) -> Any:
    """Yields uint8 [b, H, W, C] and integer [b] blocks."""

    def resize(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        resized = tf.image.resize(image, shape[:2], antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8), label

    # One file after the other: the order doesn't matter, and no more than one file's buffer is held.
    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    with quietly():
        images = builder.as_dataset(split=split, as_supervised=True, read_config=config)
    if images.element_spec[0].shape != shape:
        images = images.map(resize, num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(_BLOCK).prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def _checked(images: Images, builder: tfds.core.DatasetBuilder, split: str, key: str) -> Images:
    num_classes = builder.info.features[builder.info.supervised_keys[1]].num_classes
    if images.labels.min() < 0 or images.labels.max() >= num_classes:
        raise DataError(
            f"{builder.name}'s split {split} has labels from {images.labels.min()} to {images.labels.max()}, outside 0 "
            f"to {num_classes - 1} (-1 marks a split without labels); set dataset.{key}_split to another."
        )
    return images


def _check_classes(train: Images, test: Images, train_split: str, test_split: str) -> None:
    unknown = np.setdiff1d(test.labels, train.labels)
    if unknown.size:
        raise DataError(
            f"dataset.train_split={train_split}: has no image of {unknown.size} classes that "
            f"dataset.test_split={test_split} has, such as {unknown[0]}; choose splits of the same classes."
        )
