"""Reads a TensorFlow Datasets set by name, into memory or, if it is too large, into a file of decoded images."""

from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from kd_bench.checks import NonNegativeInt, Positive, PositiveInt, Share
from kd_bench.data.damage import require_whole_slices, usable
from kd_bench.data.encoded import InMemory, encoded_images
from kd_bench.data.framing import Framing, framing
from kd_bench.data.images import ImageDataset, Images, in_canonical_order, require_bytes, require_memory
from kd_bench.data.normalisation import statistics
from kd_bench.data.preparation import find_builder, prepare, quiet_tfds
from kd_bench.data.records import Records
from kd_bench.data.streaming import decoded_images
from kd_bench.errors import DataError

_BLOCK = 256
_IMAGE_RANK = 3
_USUAL_KEYS = ("image", "label")
_ANOTHER = "choose a set for image classification"

# The defaults of `load_dataset` have names, because a default that is written as a literal is no fact of a run
# (kd_bench/config/identity.py), and these values are facts of all finished runs.
TRAIN, TEST, OWN_SIZE, PADDING, FLIP = "train", "test", None, 4, True


def load_dataset(
    name: str,
    *,
    train_split: str = TRAIN,
    test_split: str = TEST,
    image_size: PositiveInt | None = OWN_SIZE,
    padding: NonNegativeInt = PADDING,
    flip: bool = FLIP,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    streaming: bool = False,
    resize: Literal["crop", "squash"] = "squash",
    short_side: PositiveInt | None = None,
    crop_scale: list[Share] | None = None,
    crop_ratio: list[Positive] | None = None,
    normalisation: Literal["dataset", "imagenet"] = "dataset",
) -> ImageDataset:
    """Loads any image classification set of TensorFlow Datasets, or `digits`, which this package adds.

    The order of the images depends only on the images and labels of their split, not on the files that hold them:
    subsets, shuffles, fingerprint and results are the same for all copies of a set. Only slices depend on the order in
    the files: two copies with different orders give different slices.

    Args:
        name: name of the set, as for `tfds.builder`.
        train_split: the images to train on; a slice such as `train[:90%]` is taken in the order of the files.
        test_split: the images to test on; read when first needed.
        image_size: height and width of the images for the networks; needed if the images of a set vary in size.
        padding: see `ImageDataset`; without effect beside `crop_scale`.
        flip: see `ImageDataset`.
        data_dir: the folder of prepared sets, for reading and writing; `~/tensorflow_datasets` if None.
        manual_dir: the folder of files that were downloaded by hand, with their original names.
        streaming: whether the images stay on disk: decoded, beside the prepared set, or as they are if there is a
            `crop_scale`. The results are the same.
        resize: see `load_folder`, as the others.
        short_side: of the image whose centre is tested.
        crop_scale: of random resized crops.
        crop_ratio: of these.
        normalisation: the numbers.

    Raises:
        DataError: the set is unknown, has no images with labels, varies in size, has no such training split, cannot be
            prepared or read, or is too large for the memory. Errors of the test split are raised when it is read.
    """
    if train_split == test_split:
        raise DataError(f"dataset.test_split={test_split}: is also the training split; choose another, or a slice.")
    builder = find_builder(name, data_dir, manual_dir)
    shape = _image_shape(builder, image_size)
    frame = framing(image_size, shape[-1], resize, short_side, crop_scale, crop_ratio)
    class_names = _class_names(builder)
    padding = 0 if frame.crop else padding
    if padding >= min(shape[:2]):
        raise DataError(f"dataset.padding={padding}: must be below the images' size, {shape[0]}x{shape[1]}.")
    prepare(builder, manual_dir)
    read = partial(_encoded, streaming=streaming) if frame.crop else _stream if streaming else _read
    train = read(builder, train_split, shape, frame, "train")
    read_test = partial(read, builder, test_split, shape, frame, "test")
    numbers = statistics(normalisation, train)
    return ImageDataset(name, train, read_test, len(class_names), *numbers, padding, flip, class_names)


def _image_shape(builder: tfds.core.DatasetBuilder, image_size: int | None) -> tuple[int, int, int]:
    """Returns the height, width and channels that the images will have in memory; downloads nothing."""
    image = builder.info.features[_keys(builder)[0]]
    shape = tuple(image.shape)
    is_image = isinstance(image, tfds.features.Image) and len(shape) == _IMAGE_RANK and image.np_dtype == np.uint8
    if not is_image or 0 in shape:
        raise DataError(
            f"dataset.name={builder.name}: its inputs are {image}, not images with pixels of 8 bits per channel; "
            f"{_ANOTHER}."
        )
    height, width, channels = shape
    if channels is None:
        raise DataError(f"dataset.name={builder.name}: its images vary in their number of channels; {_ANOTHER}.")
    if image_size is not None:
        return image_size, image_size, channels
    if height is None or width is None:
        raise DataError(
            f"dataset.name={builder.name}: its images vary in size; set a size, such as dataset.image_size=32."
        )
    return height, width, channels


def _class_names(builder: tfds.core.DatasetBuilder) -> tuple[str, ...]:
    """Returns the names of the classes; of classes without names, their numbers."""
    label = builder.info.features[_keys(builder)[1]]
    if not isinstance(label, tfds.features.ClassLabel) or not label.num_classes:
        raise DataError(f"dataset.name={builder.name}: its targets are {label}, not class labels; {_ANOTHER}.")
    return tuple(label.names)


def _keys(builder: tfds.core.DatasetBuilder) -> tuple[str, str]:
    """Returns the names of the image feature and of the label feature."""
    features = builder.info.features
    keys = builder.info.supervised_keys or _USUAL_KEYS  # `store_as_tfds_dataset` cannot declare keys
    if len(keys) != 2 or not all(isinstance(key, str) and key in features for key in keys):  # noqa: PLR2004
        raise DataError(
            f"dataset.name={builder.name}: does not say which feature is the image and which the label, and has no "
            f"features with these names (it has {', '.join(features)}); {_ANOTHER}."
        )
    return keys


def _read(
    builder: tfds.core.DatasetBuilder, split: str, shape: tuple[int, int, int], frame: Framing, key: str
) -> Images:
    """Reads a split into memory."""
    count = _count(builder, split, key)
    advice = "set a smaller dataset.image_size, or dataset.streaming=true"
    require_memory(count, shape, f"dataset.{key}_split={split}", advice)
    pixels, labels = np.empty((count, *shape), np.uint8), np.empty(count, np.int32)
    _fill(builder, split, frame, pixels, labels)
    return in_canonical_order(Images(pixels, labels))


def _stream(
    builder: tfds.core.DatasetBuilder, split: str, shape: tuple[int, int, int], frame: Framing, key: str
) -> Images:
    """Decodes a split into a file once, and reads from the file."""
    count = _count(builder, split, key)
    folder = Path(builder.data_dir)
    name = f"{quote(split, safe='')}-{'x'.join(map(str, shape))}"
    if frame.size and frame.resize == "crop":
        name += f"-crop{frame.short_side or frame.size}"
    # TensorFlow Datasets must not take its name for a version.
    decoded_folder = folder.parent / f"decoded.{folder.name}" / name
    with usable(decoded_folder):
        fill = partial(_fill, builder, split, frame)
        return in_canonical_order(decoded_images(decoded_folder, (count, *shape), fill))


def _encoded(
    builder: tfds.core.DatasetBuilder,
    split: str,
    _: tuple[int, int, int],
    frame: Framing,
    key: str,
    *,
    streaming: bool,
) -> Images:
    """Reads a split whose images stay encoded, into memory or where they are."""
    _count(builder, split, key)
    with usable(Path(builder.data_dir)):
        files = Records(builder, split, _keys(builder))
    if not streaming:
        needed = builder.info.splits[split].num_bytes
        require_bytes(needed, "its files need", f"dataset.{key}_split={split}", "set dataset.streaming=true")
    return in_canonical_order(encoded_images(files if streaming else InMemory(files), frame))


def _fill(
    builder: tfds.core.DatasetBuilder, split: str, frame: Framing, pixels: np.ndarray, labels: np.ndarray
) -> None:
    read = 0
    with usable(Path(builder.data_dir)):
        require_whole_slices(builder, split)
        for block_pixels, block_labels in _blocks(builder, split, frame, pixels.shape[1:]):
            filled = slice(read, read + len(block_labels))
            pixels[filled], labels[filled] = block_pixels, block_labels
            read = filled.stop


def _count(builder: tfds.core.DatasetBuilder, split: str, key: str) -> int:
    try:
        count = builder.info.splits[split].num_examples
    except (KeyError, ValueError, AssertionError) as error:
        raise DataError(
            f"dataset.{key}_split={split}: {builder.name} has the splits {', '.join(builder.info.splits)}; "
            "choose one, or a slice such as train[:90%]."
        ) from error
    if not count:
        raise DataError(
            f"dataset.{key}_split={split}: holds no images of {builder.name}; choose another split or a larger slice."
        )
    return count


def _blocks(builder: tfds.core.DatasetBuilder, split: str, frame: Framing, shape: tuple[int, ...]) -> Any:
    """Yields uint8 [b, H, W, C] and integer [b] blocks."""
    keys = _keys(builder)
    decoders = tfds.decode.PartialDecoding(dict.fromkeys(keys, True))
    # One file after the other: the order does not matter, and only one file's buffer is in memory.
    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False, assert_cardinality=True)
    with quiet_tfds():
        examples = builder.as_dataset(split=split, decoders=decoders, read_config=config)
    images = examples.map(lambda example: tuple(example[key] for key in keys))
    if images.element_spec[0].shape != shape:
        images = images.map(lambda image, label: (frame.framed(image), label), num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(_BLOCK).prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
