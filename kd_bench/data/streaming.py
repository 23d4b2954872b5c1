"""Sets that are too large for memory: decoded once into a file, from which each batch reads its images.

The file has the images in the order in which they were read. `digests.npy` gives their canonical order without reading
them. So a shuffle is a permutation of the whole set, the same as in memory and not limited by a shuffle buffer, and a
run can resume at any step.
"""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from kd_bench.data.images import Images, image_digests
from kd_bench.errors import SmallMachineError

_PIXELS, _LABELS, _DIGESTS = "pixels.npy", "labels.npy", "digests.npy"


def decoded_images(
    folder: Path, shape: tuple[int, int, int, int], fill: Callable[[np.ndarray, np.ndarray], None]
) -> Images:
    """Returns the images in a folder, in the file's order, with digests. It first makes files that are missing.

    Args:
        folder: the folder of one split at one image size.
        shape: [N, H, W, C].
        fill: writes all pixels, uint8, and labels, int32 [N], into two arrays.

    Raises:
        ValueError: a file in the folder is truncated, or has another shape or type.
        OSError: the folder cannot be read or written.
        SmallMachineError: the disk has no room for the images.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            _decode(folder, shape, fill)
        images = _stored(folder, shape)
        if not (folder / _DIGESTS).exists():  # just decoded, or decoded by a version without digests
            _keep_digests(folder, images)
    digests = np.load(folder / _DIGESTS, allow_pickle=False)
    if digests.shape != shape[:1] or digests.dtype != np.uint64:
        raise ValueError(f"its {_DIGESTS} is {digests.dtype} {digests.shape}, not uint64 {shape[:1]}")
    return replace(images, digests=digests)


def _stored(folder: Path, shape: tuple[int, int, int, int]) -> Images:
    pixels = np.load(folder / _PIXELS, mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / _LABELS, allow_pickle=False)
    if pixels.shape != shape or labels.shape != shape[:1]:
        raise ValueError(f"it holds images of shape {pixels.shape}, not {shape}")
    return Images(pixels, labels)


def _keep_digests(folder: Path, images: Images) -> None:
    unfinished = folder / f"unfinished.{_DIGESTS}"
    np.save(unfinished, image_digests(images), allow_pickle=False)
    unfinished.replace(folder / _DIGESTS)


def _decode(folder: Path, shape: tuple[int, int, int, int], fill: Callable[[np.ndarray, np.ndarray], None]) -> None:
    """Writes a folder with another name and renames it at the end: an interrupted one counts as missing."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _require_space(folder, math.prod(shape))
    unfinished.mkdir()
    pixels = np.lib.format.open_memmap(unfinished / _PIXELS, mode="w+", dtype=np.uint8, shape=shape)
    labels = np.empty(shape[0], np.int32)
    fill(pixels, labels)
    pixels.flush()
    np.save(unfinished / _LABELS, labels, allow_pickle=False)
    unfinished.rename(folder)


def _require_space(folder: Path, needed: int) -> None:
    """Checks the free space, because writing to a mapped file on a full disk ends the process without a message."""
    free = shutil.disk_usage(folder.parent).free
    if needed > free:
        raise SmallMachineError(
            f"{folder}: cannot be written: the images need {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} are free; "
            "make room, or set another dataset.data_dir or a smaller dataset.image_size."
        )
