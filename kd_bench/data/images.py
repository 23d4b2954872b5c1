"""What a data set is once it is in memory."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Images:
    """Labelled images.

    Attributes:
        pixels: uint8 [M, H, W, C]; a `numpy.memmap` where they stay on disk.
        labels: int32 [N].
        rows: the images' places among the pixels, int64 [N]; None if they are all of them, in order.
    """

    pixels: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None

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
        test: the test set.
        num_classes: K; labels are 0 to K-1.
        mean: float32 [C], of the full training set on the scale 0 to 255: teacher and student, at any fraction, see one
            normalisation.
        std: float32 [C], likewise; 1 for a constant channel.
        padding: by how many pixels a training image is reflected outwards before it is cropped back; 0 for no crop.
        flip: whether a training image is mirrored, left to right, half of the time.
    """

    name: str
    train: Images
    test: Images
    num_classes: int
    mean: np.ndarray
    std: np.ndarray
    padding: int
    flip: bool

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over all images and labels, in order: the same name may stand for other data."""
        digest = hashlib.blake2b(str(self.num_classes).encode(), digest_size=8)
        for images in (self.train, self.test):
            for values in (images.pixels, images.labels):
                digest.update(f"{values.dtype}{values.shape}".encode())
                digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


def channel_statistics(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean and the standard deviation of each channel, exactly: from counts of the 256 values.

    Args:
        pixels: uint8 [N, H, W, C].

    Returns:
        mean and std, float32 [C]; std is 1 for a constant channel.
    """
    counts = np.stack([_histogram(pixels[..., channel]) for channel in range(pixels.shape[-1])])
    values = np.arange(256)
    total = counts.sum(axis=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
    std = np.where(variance > 0, np.sqrt(variance), 1)
    return mean.astype(np.float32), std.astype(np.float32)


def _histogram(channel: np.ndarray) -> np.ndarray:
    # In blocks, because `bincount` widens its input to eight bytes a pixel.
    blocks = np.array_split(channel, max(1, channel.size >> 24))
    return np.sum([np.bincount(block.ravel(), minlength=256) for block in blocks], axis=0)
