"""What all forms of a user's own images share: errors of reading, the split, the set."""

import contextlib
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from kd_bench.data.damage import error_text
from kd_bench.data.fractions import hold_out, naming_classes, take
from kd_bench.data.images import ImageDataset, Images, channel_statistics, class_name
from kd_bench.errors import BenchError, DataError

_SPLIT_SEED = 0
"""Decides which images are the test set; part of the data set, not of a run."""
_MINIMUM = 2
"""Of classes, because with one there is nothing to learn, and of a class's images, if the test set is split off."""
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,  # also RecursionError and NotImplementedError
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tf.errors.OpError,
)
"""What readers of images and of arrays raise for a file that is damaged, hostile, or of another kind."""


@contextlib.contextmanager
def readable(problem: str, advice: str) -> Iterator[None]:
    """Raises `DataError` if the body cannot read a file.

    Args:
        problem: the key, its value, the file, and that it cannot be read.
        advice: what to do.
    """
    try:
        yield
    except BenchError:
        raise
    except _UNREADABLE as error:
        raise DataError(f"{problem} ({error_text(error) or type(error).__name__}); {advice}.") from error


def split_off_test(
    source: str, images: Images, test_share: float, class_names: Sequence[str] = ()
) -> tuple[Images, Images]:
    """Returns the training and the test images, with the same share of each class in both.

    Args:
        source: the key and the value that name the images, for messages.
        images: in canonical order, so that the split depends only on the images and labels.
        test_share: above 0 and below 1.
        class_names: of the labels; without them, classes have numbers.

    Raises:
        DataError: a class would have no training or no test images.
    """
    classes, counts = np.unique(images.labels, return_counts=True)
    if counts.min() < _MINIMUM:
        name = class_name(classes[counts.argmin()], class_names)
        raise DataError(
            f"{source}: its class {name} has one image, and dataset.test_share={test_share:g} needs one to learn from "
            "and one to test on; add images, or leave the class out."
        )
    with naming_classes(class_names):
        training, test = hold_out(images.labels, test_share, _SPLIT_SEED, "dataset.test_share")
    return take(images, training), take(images, test)


def user_dataset(
    source: str,
    name: str,
    train: Images,
    test: Images,
    padding: int,
    flip: bool,
    class_names: Sequence[str] = (),
    remark: str = "",
    statistics: tuple[np.ndarray, np.ndarray] | None = None,
) -> ImageDataset:
    """Returns the set, with as many classes as the training labels need.

    Args:
        source: the key and the value that name the images, for messages.
        name: see `ImageDataset`, as the others.
        train: the training images.
        test: the test images.
        padding: for crops.
        flip: whether images are mirrored.
        class_names: of the labels; without them, classes have numbers.
        remark: what else is to say of the set.
        statistics: mean and standard deviation of the channels; those of the training images if None.

    Raises:
        DataError: pixels or labels cannot be used, a class has no training image, or the padding is not smaller than
            the images.
    """
    statistics = statistics or channel_statistics(train.pixels, train.rows)
    height, width = train.pixels.shape[1:3]
    if padding >= min(height, width):
        raise DataError(f"dataset.padding={padding}: must be below the images' size, {height}x{width}.")
    num_classes = _num_classes(source, train.labels)
    return ImageDataset(name, train, lambda: test, num_classes, *statistics, padding, flip, tuple(class_names), remark)


def _num_classes(source: str, labels: np.ndarray) -> int:
    """Returns K, if the labels are 0 to K-1. An enormous label is refused before anything is as long as it is large."""
    present = np.unique(labels)
    if len(present) < _MINIMUM:
        raise DataError(f"{source}: all training images have the label {present[0]}; two classes are needed to learn.")
    if len(gaps := np.flatnonzero(present != np.arange(len(present)))):
        raise DataError(
            f"{source}: no training image has the label {gaps[0]}; labels must be 0 to K-1, and each must "
            f"have an image. The highest is {present[-1]}."
        )
    return len(present)
