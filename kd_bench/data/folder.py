"""Reads a user's own images from folders, one per class."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np

from kd_bench.checks import NonNegativeInt, Positive, PositiveInt, Probability, Share
from kd_bench.config.image_folder import Classes, ImageFolder, describe_left_out, list_images
from kd_bench.data.encoded import EncodedPixels, Files, InMemory, Paths, encoded_images
from kd_bench.data.framing import Framing, framing
from kd_bench.data.images import ImageDataset, Images, in_canonical_order, require_bytes, require_memory
from kd_bench.data.normalisation import statistics
from kd_bench.data.user_images import split_off_test, user_dataset
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
    resize: Literal["crop", "squash"] = "squash",
    short_side: PositiveInt | None = None,
    crop_scale: list[Share] | None = None,
    crop_ratio: list[Positive] | None = None,
    normalisation: Literal["dataset", "imagenet"] = "dataset",
    streaming: bool = False,
) -> ImageDataset:
    """Loads the images below `root`: a folder per class, or such folders in a training and a test folder.

    The classes are numbered in the order of their names. Without a test folder, `test_share` of each class becomes the
    test set.

    Args:
        name: of the set, in tables and folders.
        root: of the folders.
        content: identifies the images in the run's config, so that `root` does not count.
        test_share: above 0 and below 1.
        image_size: height and width of the images for the networks; needed if the files vary in size.
        channels: 3, or 1 to read the images as gray.
        padding: see `ImageDataset`; without effect beside `crop_scale`.
        flip: see `ImageDataset`.
        resize: how an image that is not square gets square: `crop` cuts its centre out, `squash` changes its aspect.
        short_side: with `crop`, the shorter side from which the centre is cut; `image_size` if None.
        crop_scale: the least and the largest share of the image in a random resized crop for training, such as
            [0.08, 1]; None: no such crop.
        crop_ratio: the least and the largest width over height of these crops; 3/4 to 4/3 if None.
        normalisation: by the training images, or by the numbers that are usual for ImageNet.
        streaming: whether files are read again whenever a batch needs them; the results are the same.

    Raises:
        DataError: there are no such folders, an image cannot be used, or two options contradict each other.
    """
    del content
    source = f"dataset.root={root}"
    frame = framing(image_size, channels, resize, short_side, crop_scale, crop_ratio)
    folder = list_images(root)
    if folder.left_out:
        warn(f"warning: {source}: {describe_left_out(folder.left_out)}.")
    names = list(folder.train)
    read = partial(_read, source, names, frame, streaming)
    train = read(folder.train)
    train, test = (train, read(folder.test)) if folder.test else split_off_test(source, train, test_share, names)
    padding = 0 if frame.crop else padding
    numbers = statistics(normalisation, train)
    return user_dataset(source, name, train, test, padding, flip, names, _remark(folder), numbers)


def _remark(folder: ImageFolder) -> str:
    """Returns which folders are the parts, and how many files are left out."""
    parts = f", of {' and '.join(folder.parts)}" if folder.parts else ""
    count = folder.left_out.total()
    return parts + (f", {pluralize(count, 'file')} left out" if count else "")


def _read(source: str, names: Sequence[str], frame: Framing, streaming: bool, classes: Classes) -> Images:
    """Reads the images of the classes with these names. A class that is not among `classes` has no images."""
    found = [(path, label) for label, name in enumerate(names) for path in classes.get(name, ())]
    labels = [label for _, label in found]
    files = Paths(source, [path for path, _ in found], labels)
    if not frame.crop and not streaming:
        return in_canonical_order(Images(_decoded(files, frame), np.array(labels, np.int32)))
    if not streaming:
        require_bytes(files.size_on_disk(), "its files need", source, "set dataset.streaming=true")
    return in_canonical_order(encoded_images(files if streaming else InMemory(files), frame))


def _decoded(files: Files, frame: Framing) -> np.ndarray:
    """Returns all images, uint8 [N, H, W, C]."""
    pixels = EncodedPixels(files, frame)
    advice = "set a smaller dataset.image_size, or dataset.streaming=true"
    require_memory(len(files), pixels.shape[1:], files.source, advice)
    return pixels[:]
