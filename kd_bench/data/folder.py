"""Reads a user's own images from folders, one per class."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from kd_bench.checks import NonNegativeInt, PositiveInt, Probability
from kd_bench.config.image_folder import Classes, ImageFolder, describe_left_out, list_images
from kd_bench.data.datasets import resized
from kd_bench.data.decoding import decode_image
from kd_bench.data.images import ImageDataset, Images, in_canonical_order, require_memory
from kd_bench.data.user_images import readable, split_off_test, user_dataset
from kd_bench.errors import DataError
from kd_bench.messages import pluralize, warn


def load_folder(
    name: str,
    *,
    root: str,
    content: str,
    test_share: Probability,
    image_size: PositiveInt | None,
    channels: Literal[1, 3],
    padding: NonNegativeInt,
    flip: bool,
) -> ImageDataset:
    """Loads the images below `root`: a folder per class, or such folders in a training and a test folder.

    The classes are numbered in the order of their names. Without a test folder, `test_share` of each class becomes the
    test set.

    Args:
        name: of the set, in tables and folders.
        root: of the folders.
        content: identifies the images in the run's config, so that `root` does not count.
        test_share: above 0 and below 1.
        image_size: height and width to which images are resized; needed if they vary in size.
        channels: 3, or 1 to read the images as gray.
        padding: see `ImageDataset`.
        flip: see `ImageDataset`.

    Raises:
        DataError: there are no such folders, or an image cannot be used.
    """
    del content
    source = f"dataset.root={root}"
    folder = list_images(root)
    if folder.left_out:
        warn(f"warning: {source}: {describe_left_out(folder.left_out)}.")
    names = list(folder.train)
    read = partial(_read, source, names, image_size=image_size, channels=channels)
    train = read(folder.train)
    train, test = (train, read(folder.test)) if folder.test else split_off_test(source, train, test_share, names)
    return user_dataset(source, name, train, test, padding, flip, names, _remark(folder))


def _remark(folder: ImageFolder) -> str:
    """Returns which folders are the parts, and how many files are left out."""
    parts = f", of {' and '.join(folder.parts)}" if folder.parts else ""
    count = folder.left_out.total()
    return parts + (f", {pluralize(count, 'file')} left out" if count else "")


def _read(
    source: str, names: Sequence[str], classes: Classes, image_size: int | None, channels: Literal[1, 3]
) -> Images:
    """Reads the images of the classes with these names. A class that is not among `classes` has no images."""
    found = [(path, label) for label, name in enumerate(names) for path in classes.get(name, ())]
    decode = partial(_decoded, source, image_size=image_size, channels=channels)
    first, shape = found[0][0], decode(found[0][0]).shape
    require_memory(len(found), shape, source, "set a smaller dataset.image_size")
    pixels = np.empty((len(found), *shape), np.uint8)
    with ThreadPoolExecutor() as pool:
        for index, image in enumerate(pool.map(decode, (path for path, _ in found))):
            if image.shape != shape:
                raise DataError(
                    f"{source}: its images vary in size: {first} has {_size(shape)} pixels, "
                    f"{found[index][0]} has {_size(image.shape)}; set a size, such as dataset.image_size=32."
                )
            pixels[index] = image
    return in_canonical_order(Images(pixels, np.array([label for _, label in found], np.int32)))


def _decoded(source: str, path: Path, image_size: int | None, channels: Literal[1, 3]) -> np.ndarray:
    """Returns an image, uint8 `[H,W,C]`, resized if there is a size."""
    with readable(f"{source}: {path} is not an image that can be read", "replace it, or move it out of the folder"):
        pixels = decode_image(path.read_bytes(), channels)
        return (pixels if image_size is None else resized(pixels, (image_size, image_size))).numpy()


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"
