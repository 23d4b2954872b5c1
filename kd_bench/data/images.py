"""A loaded data set, and the fingerprint that identifies it: it covers images and labels, in any order."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import psutil

from kd_bench.errors import DataError, SmallMachineError
from kd_bench.messages import warn

if TYPE_CHECKING:  # it needs TensorFlow, and this module is to be light
    from kd_bench.data.encoded import EncodedPixels

_IMAGES_RANK = 4
_BLOCK = 64
_VALUES = 1 << 24
"""So many values are counted at a time."""


@dataclass(frozen=True)
class Images:
    """Labelled images.

    Attributes:
        pixels: uint8 [M, H, W, C]; a `numpy.memmap` if they stay on disk, `EncodedPixels` if they stay encoded.
        labels: int32 [N].
        rows: the indices of the images in `pixels`, int64 [N]; None if N = M and the order is the same.
        digests: the result of `image_digests`, uint64 [N], if it is already known; else None.
    """

    pixels: "np.ndarray | EncodedPixels"
    labels: np.ndarray
    rows: np.ndarray | None = None
    digests: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def on_disk(self) -> bool:
        """Whether the pixels are read from disk, or decoded, only when a batch needs them."""
        return not isinstance(self.pixels, np.ndarray) or isinstance(self.pixels, np.memmap)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Returns the pixels of these images, uint8 [B, H, W, C]."""
        return np.asarray(self.pixels[indices if self.rows is None else self.rows[indices]])


@dataclass(frozen=True)
class ImageDataset:
    """A training and a test set, and what is the same for all networks that learn from them.

    Attributes:
        name: the set's name in TensorFlow Datasets.
        train: the full training set; a run may use a fraction of it.
        test_images: the test set, or a function that reads it when first needed: not in a run with `validation`.
        num_classes: K; labels are 0 to K-1.
        mean: float32 [C], of the full training set on the scale 0 to 255, so that the normalisation is the same for
            teacher and student and at any fraction.
        std: float32 [C], of the same pixels; 1 for a constant channel.
        padding: number of pixels by which a training image is padded, by reflection, before a random crop; 0: no crop.
        flip: whether a training image is mirrored, left to right, with probability 1/2.
        class_names: K names, for messages; none if only the labels are known.
        remark: what else is to say of the set: the end of a line about it.

    Raises:
        DataError: a part is empty, its pixels are not uint8 [M, H, W, C], or its labels are wrong.
    """

    name: str
    train: Images
    test_images: Images | Callable[[], Images]
    num_classes: int
    mean: np.ndarray
    std: np.ndarray
    padding: int
    flip: bool
    class_names: tuple[str, ...] = ()
    remark: str = ""

    def __post_init__(self) -> None:
        self._require_sound("training", self.train)
        if isinstance(self.test_images, Images):
            self._require_sound("test", self.test_images)

    @cached_property
    def test(self) -> Images:
        """The test set, read when first used.

        Raises:
            DataError: it cannot be read, its pixels or labels are wrong, or it has classes that nobody can learn.
        """
        if isinstance(self.test_images, Images):
            return self.test_images
        images = self.test_images()
        self._require_sound("test", images)
        self._compare_with_training(images)
        return images

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits from all images and labels, in any order; sets with equal names may have other data."""
        return self._fingerprint(self.train, self.test)

    @cached_property
    def train_fingerprint(self) -> str:
        """The fingerprint of the training set only."""
        return self._fingerprint(self.train)

    def _require_sound(self, part: str, images: Images) -> None:
        problem = _pixels_problem(images.pixels) or _labels_problem(images, self.num_classes)
        if problem:
            raise DataError(f"dataset.name={self.name}: its {part} set has {problem}.")

    def _compare_with_training(self, test: Images) -> None:
        """Refuses a test set of another shape or with unknown classes; warns if the sets share images."""
        if test.pixels.shape[1:] != self.train.pixels.shape[1:]:
            raise DataError(
                f"dataset.name={self.name}: its test images have shape {test.pixels.shape[1:]}, its training images "
                f"{self.train.pixels.shape[1:]}; they must be equal."
            )
        unknown = np.setdiff1d(test.labels, self.train.labels)
        if unknown.size:
            raise DataError(
                f"dataset.name={self.name}: its training set has no image of {unknown.size} classes that its test set "
                f"has, such as {class_name(unknown[0], self.class_names)}; choose parts with the same classes."
            )
        shared = np.isin(image_digests(test), image_digests(self.train)).sum()
        if shared:
            warn(
                f"warning: dataset.name={self.name}: {shared} of its {len(test)} test images are also training images, "
                "with the same label."
            )

    def _fingerprint(self, *parts: Images) -> str:
        digest = hashlib.blake2b(str(self.num_classes).encode(), digest_size=8)
        for images in parts:
            shape = (len(images), *images.pixels.shape[1:])
            digest.update(f"{images.pixels.dtype}{images.labels.dtype}{shape}".encode())
            digest.update(np.sort(image_digests(images)).astype("<u8").data)
        return digest.hexdigest()


def class_name(label: int, class_names: Sequence[str]) -> str:
    """Returns the name of a class for messages: its label, if it has no name."""
    return class_names[label] if label < len(class_names) else str(label)


def _pixels_problem(pixels: "np.ndarray | EncodedPixels") -> str | None:
    if pixels.ndim == _IMAGES_RANK and pixels.dtype == np.uint8 and pixels.size:
        return None
    return f"pixels of type {pixels.dtype} and shape {pixels.shape}, not uint8 [M, H, W, C] with one image or more"


def _labels_problem(images: Images, num_classes: int) -> str | None:
    labels, count = images.labels, len(images.pixels if images.rows is None else images.rows)
    if len(labels) != count or not count:
        return f"{count} images and {len(labels)} labels"
    if labels.min() < 0 or labels.max() >= num_classes:
        return f"labels from {labels.min()} to {labels.max()}, outside 0 to {num_classes - 1} (-1 means no label)"
    return None


def require_memory(count: int, shape: Sequence[int], setting: str, advice: str) -> None:
    """Checks that the memory can hold `count` images of this shape `[H,W,C]`.

    Args:
        count: of images.
        shape: of one.
        setting: the key and the value that ask for them, for the message.
        advice: what to do.

    Raises:
        SmallMachineError: it cannot.
    """
    require_bytes(
        count * math.prod(shape), f"{count} images of {'x'.join(map(str, shape))} bytes need more than", setting, advice
    )


def require_bytes(needed: int, what: str, setting: str, advice: str) -> None:
    """Checks that the memory has so many bytes.

    Args:
        needed: the number of bytes.
        what: the beginning of a sentence that goes on with this number.
        setting: as of `require_memory`.
        advice: the same.

    Raises:
        SmallMachineError: it has less.
    """
    memory = psutil.virtual_memory().total
    if needed > memory:
        raise SmallMachineError(
            f"{setting}: {what} {needed / 1e9:,.1f} GB of memory, and this machine has {memory / 1e9:,.1f}; {advice}."
        )


def in_canonical_order(images: Images) -> Images:
    """Sorts images by their digests, so that the order does not depend on the files that held them.

    Images with equal pixels and labels keep their order, which has no effect.

    Args:
        images: in any order. Images in memory are copied; images on disk are not, and get other `rows`.

    Returns:
        The same images, with digests, in an order that is the same for all copies of the set.
    """
    digests = image_digests(images)
    order = np.argsort(digests, kind="stable")
    if images.on_disk:
        rows = order if images.rows is None else images.rows[order]
        return Images(images.pixels, images.labels[order], rows, digests[order])
    return Images(images.read(order), images.labels[order], digests=digests[order])


def image_digests(images: Images) -> np.ndarray:
    """Returns a digest of each image's pixels and label, uint64 [N]; reads a few images at a time."""
    if images.digests is not None:
        return images.digests
    digests = np.empty(len(images), np.uint64)
    for start in range(0, len(images), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(images)))
        digests[block] = _block_digests(images.read(block), images.labels[block])
    return digests


def _block_digests(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    # The same bytes on every machine, with any byte order.
    label_bytes = labels.astype("<i4")[:, np.newaxis].view(np.uint8)
    rows = np.concatenate([pixels.reshape(len(pixels), -1), label_bytes], axis=1)
    return np.frombuffer(b"".join([hashlib.blake2b(row, digest_size=8).digest() for row in rows]), "<u8")


def channel_statistics(
    pixels: "np.ndarray | EncodedPixels", rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the exact mean and standard deviation of each channel, computed from counts of the 256 values.

    Args:
        pixels: uint8 [M, H, W, C], read a few images at a time.
        rows: the images that count, int [N]; None for all.

    Returns:
        mean and std, float32 [C]; std is 1 for a constant channel.

    Raises:
        DataError: there are no pixels, or they have another type or shape.
    """
    if problem := _pixels_problem(pixels):
        raise DataError(f"The images have {problem}.")
    chosen = None if rows is None or len(rows) == len(pixels) else np.sort(rows)
    blocks = _blocks(len(pixels if chosen is None else chosen), math.prod(pixels.shape[1:]))
    counts = np.sum([_histograms(pixels[block if chosen is None else chosen[block]]) for block in blocks], axis=0)
    values = np.arange(256)
    total = counts.sum(axis=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
    std = np.where(variance > 0, np.sqrt(variance), 1)
    return mean.astype(np.float32), std.astype(np.float32)


def _histograms(pixels: np.ndarray) -> np.ndarray:
    """Returns how often each channel has each of the 256 values, int64 [C, 256]."""
    return np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(pixels.shape[-1])])


def _blocks(count: int, size: int) -> list[slice]:
    """Returns slices of a few images of this size, because `bincount` widens its input to eight bytes per pixel."""
    step = max(1, _VALUES // size)
    return [slice(start, start + step) for start in range(0, count, step)]
