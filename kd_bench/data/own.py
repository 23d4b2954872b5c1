"""What all forms of a user's own images share: the split into training and test images, and the set made of them."""

import numpy as np

from kd_bench.data.fractions import hold_out, take
from kd_bench.data.images import ImageDataset, Images, channel_statistics
from kd_bench.errors import DataError

_SPLIT_SEED = 0
"""Decides which images are the test set; part of the data set, not of a run."""


def split_off_test(images: Images, test_share: float) -> tuple[Images, Images]:
    """Returns the training and the test images, with the same share of each class in both.

    Args:
        images: in canonical order, so that the split depends only on the images and labels.
        test_share: above 0 and below 1.

    Raises:
        DataError: a class would have no training or no test images.
    """
    training, test = hold_out(images.labels, test_share, _SPLIT_SEED, "dataset.test_share")
    return take(images, training), take(images, test)


def own_dataset(name: str, train: Images, test: Images, padding: int, flip: bool) -> ImageDataset:
    """Returns the set, with as many classes as the training labels need.

    Raises:
        DataError: pixels or labels cannot be used, a class has no training image, or the padding is not smaller than
            the images.
    """
    statistics = channel_statistics(train.pixels)
    height, width = train.pixels.shape[1:3]
    if padding >= min(height, width):
        raise DataError(f"dataset.padding={padding}: must be below the images' size, {height}x{width}.")
    num_classes = int(train.labels.max()) + 1
    if len(missing := np.setdiff1d(np.arange(num_classes), train.labels)):
        raise DataError(
            f"dataset.name={name}: no training image has the label {missing[0]}; labels must be 0 to K-1, and each "
            f"must have an image. The highest is {num_classes - 1}."
        )
    return ImageDataset(name, train, lambda: test, num_classes, *statistics, padding, flip)
