"""What a data set is once it is loaded, and what makes it that set: its images and labels, in any order."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kd_bench.errors import DataError

_IMAGES_RANK = 4
_BLOCK = 64


@dataclass(frozen=True)
class Images:
    """Labelled images.

    Attributes:
        pixels: uint8 [M, H, W, C]; a `numpy.memmap` where they stay on disk.
        labels: int32 [N].
        rows: the images' places among the pixels, int64 [N]; None if they are all of them, in order.
        digests: what `image_digests` returns, uint64 [N], where it is known already; else None.
    """

    pixels: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None
    digests: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def on_disk(self) -> bool:
        """Whether the pixels are read when, and only if, a batch needs them."""
        return isinstance(self.pixels, np.memmap)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Returns the pixels of these images, uint8 [B, H, W, C]."""
        return np.asarray(self.pixels[indices if self.rows is None else self.rows[indices]])


@dataclass(frozen=True)
class ImageDataset:
    """A training and a test set, and what every network that learns from them must share.

    Attributes:
        name: the set's name in TensorFlow Datasets.
        train: the full training set, of which a run may see a fraction.
        test_images: the test set, or what reads it when it is first needed: a run under `validation` never needs it.
        num_classes: K; labels are 0 to K-1.
        mean: float32 [C], of the full training set on the scale 0 to 255: teacher and student, at any fraction, see one
            normalisation.
        std: float32 [C], likewise; 1 for a constant channel.
        padding: by how many pixels a training image is reflected outwards before it is cropped back; 0 for no crop.
        flip: whether a training image is mirrored, left to right, half of the time.

    Raises:
        DataError: a part is empty, its pixels are not uint8 [M, H, W, C], or its labels do not fit.
    """

    name: str
    train: Images
    test_images: Images | Callable[[], Images]
    num_classes: int
    mean: np.ndarray
    std: np.ndarray
    padding: int
    flip: bool

    def __post_init__(self) -> None:
        self._require_sound("training", self.train)
        if isinstance(self.test_images, Images):
            self._require_sound("test", self.test_images)

    @cached_property
    def test(self) -> Images:
        """The test set, read when it is first asked for.

        Raises:
            DataError: it cannot be read, or is not sound.
        """
        if isinstance(self.test_images, Images):
            return self.test_images
        images = self.test_images()
        self._require_sound("test", images)
        return images

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over all images and labels, in any order: the same name may stand for other data."""
        return self._fingerprint(self.train, self.test)

    @cached_property
    def train_fingerprint(self) -> str:
        """The same over the training set alone."""
        return self._fingerprint(self.train)

    def _require_sound(self, part: str, images: Images) -> None:
        problem = _pixels_problem(images.pixels) or _labels_problem(images, self.num_classes)
        if problem:
            raise DataError(f"dataset.name={self.name}: its {part} set has {problem}.")

    def _fingerprint(self, *parts: Images) -> str:
        digest = hashlib.blake2b(str(self.num_classes).encode(), digest_size=8)
        for images in parts:
            shape = (len(images), *images.pixels.shape[1:])
            digest.update(f"{images.pixels.dtype}{images.labels.dtype}{shape}".encode())
            digest.update(np.sort(image_digests(images)).astype("<u8").data)
        return digest.hexdigest()


def _pixels_problem(pixels: np.ndarray) -> str | None:
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


def in_canonical_order(images: Images) -> Images:
    """Sorts images by their digests, so that their order says nothing about the file that held them.

    Images that are equal, label and all, stay in the order they had: to exchange them changes nothing.

    Args:
        images: in any order; those in memory are copied, those on disk stay as they are and get other `rows`.

    Returns:
        The same images in the order that all copies of the set have, with their digests.
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
    # The same bytes on every machine, whatever its order of bytes.
    label_bytes = labels.astype("<i4")[:, np.newaxis].view(np.uint8)
    together = np.concatenate([pixels.reshape(len(pixels), -1), label_bytes], axis=1)
    return np.frombuffer(b"".join([hashlib.blake2b(one, digest_size=8).digest() for one in together]), "<u8")


def channel_statistics(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean and the standard deviation of each channel, exactly: from counts of the 256 values.

    Args:
        pixels: uint8 [N, H, W, C].

    Returns:
        mean and std, float32 [C]; std is 1 for a constant channel.

    Raises:
        DataError: there are no pixels, or they are of another type or shape.
    """
    if problem := _pixels_problem(pixels):
        raise DataError(f"The images have {problem}.")
    counts = np.stack([_histogram(pixels[..., channel]) for channel in range(pixels.shape[-1])])
    values = np.arange(256)
    total = counts.sum(axis=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
    std = np.where(variance > 0, np.sqrt(variance), 1)
    return mean.astype(np.float32), std.astype(np.float32)


def _histogram(channel: np.ndarray) -> np.ndarray:
    # In blocks, because `bincount` widens its input to eight bytes per pixel.
    blocks = np.array_split(channel, max(1, channel.size >> 24))
    return np.sum([np.bincount(block.ravel(), minlength=256) for block in blocks], axis=0)
