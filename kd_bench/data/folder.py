"""Reads a user's own images from folders, one per class."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from kd_bench.checks import NonNegativeInt, PositiveInt, Probability
from kd_bench.data.datasets import resized
from kd_bench.data.images import ImageDataset, Images, in_canonical_order, require_memory
from kd_bench.data.own import own_dataset, split_off_test
from kd_bench.errors import DataError

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png"}


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
    """Loads the images below `root`: a folder per class, or such folders in `train` and in `test`.

    The classes are numbered in the order of their names. Without `train` and `test`, `test_share` of each class becomes
    the test set.

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
    place = Path(root).expanduser()
    read = partial(_read, image_size=image_size, channels=channels)
    if (place / "train").is_dir() and (place / "test").is_dir():
        classes = _classes(place / "train")
        if unknown := set(_classes(place / "test")) - set(classes):
            raise DataError(f"dataset.root={root}: {place / 'test' / min(unknown)} has no counterpart in train.")
        train, test = (read(place / part, classes) for part in ("train", "test"))
    else:
        train, test = split_off_test(read(place, _classes(place)), test_share)
    return own_dataset(name, train, test, padding, flip)


def _classes(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(names) < 2:  # noqa: PLR2004 - with one class there is nothing to learn
        raise DataError(f"dataset.root={folder}: needs a folder per class, at least two; it has {len(names)}.")
    if empty := [name for name in names if not _files(folder / name)]:
        raise DataError(f"dataset.root={folder}: its folder {empty[0]} has no images ({', '.join(sorted(_SUFFIXES))}).")
    return names


def _read(folder: Path, classes: Sequence[str], image_size: int | None, channels: int) -> Images:
    """Reads the images of these classes. A class without a folder has no images."""
    found = [(path, label) for label, name in enumerate(classes) for path in _files(folder / name)]
    decode = partial(_decoded, image_size=image_size, channels=channels)
    first, shape = found[0][0], decode(found[0][0]).shape
    require_memory(len(found), shape, f"dataset.root={folder}", "set a smaller dataset.image_size")
    pixels = np.empty((len(found), *shape), np.uint8)
    with ThreadPoolExecutor() as pool:
        for index, image in enumerate(pool.map(decode, (path for path, _ in found))):
            if image.shape != shape:
                raise DataError(
                    f"dataset.root={folder}: its images vary in size: {first} has {_size(shape)} pixels, "
                    f"{found[index][0]} has {_size(image.shape)}; set a size, such as dataset.image_size=32."
                )
            pixels[index] = image
    return in_canonical_order(Images(pixels, np.array([label for _, label in found], np.int32)))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())


def _decoded(path: Path, image_size: int | None, channels: int) -> np.ndarray:
    """Returns an image, uint8 `[H,W,C]`; of an animation the first picture."""
    try:
        pixels = tf.io.decode_image(path.read_bytes(), channels=channels, expand_animations=False)
    except tf.errors.InvalidArgumentError as problem:
        raise DataError(f"dataset.root: {path} is not an image that can be read; replace or delete it.") from problem
    return (pixels if image_size is None else resized(pixels, (image_size, image_size))).numpy()


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"
