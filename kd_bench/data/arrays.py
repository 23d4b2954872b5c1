"""Reads a user's own images from a file of NumPy arrays."""

import zipfile
from pathlib import Path

import numpy as np

from kd_bench.checks import NonNegativeInt, Probability
from kd_bench.data.images import ImageDataset, Images, in_canonical_order
from kd_bench.data.own import own_dataset, split_off_test
from kd_bench.errors import DataError

_IMAGE_RANK = 4


def load_arrays(
    name: str, *, path: str, content: str, test_share: Probability, padding: NonNegativeInt, flip: bool
) -> ImageDataset:
    """Loads images and labels from an npz file, as `numpy.savez` writes it.

    The file holds `x_train`, `y_train`, `x_test` and `y_test`, or `x` and `y`, of which `test_share` becomes the test
    set. Images are uint8 `[N,H,W,C]` or `[N,H,W]`, labels are integers `[N]` or `[N,1]` from 0 to K-1.

    Args:
        name: of the set, in tables and folders.
        path: of the file.
        content: identifies the file in the run's config, so that `path` does not count.
        test_share: above 0 and below 1.
        padding: see `ImageDataset`.
        flip: see `ImageDataset`.

    Raises:
        DataError: the file cannot be read, or its arrays cannot be used.
    """
    del content
    arrays = _read(Path(path).expanduser())
    if arrays.keys() >= {"x_train", "y_train", "x_test", "y_test"}:
        train, test = (_images(path, arrays, f"x_{part}", f"y_{part}") for part in ("train", "test"))
    elif arrays.keys() >= {"x", "y"}:
        train, test = split_off_test(_images(path, arrays, "x", "y"), test_share)
    else:
        raise DataError(
            f"dataset.path={path}: has the arrays {', '.join(arrays)}; it needs x_train, y_train, x_test and y_test, "
            "or x and y."
        )
    return own_dataset(name, train, test, padding, flip)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as problem:
        raise DataError(f"dataset.path={path}: is not a file that numpy.savez wrote ({problem}).") from problem


def _images(path: str, arrays: dict[str, np.ndarray], pixels_name: str, labels_name: str) -> Images:
    pixels, labels = arrays[pixels_name], arrays[labels_name]
    if pixels.ndim == _IMAGE_RANK - 1:
        pixels = pixels[..., np.newaxis]
    if labels.shape == (len(labels), 1):
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or (labels < 0).any():
        raise DataError(
            f"dataset.path={path}: {labels_name} is {labels.dtype} {labels.shape}, not integers [N] from 0 to K-1."
        )
    if pixels.ndim != _IMAGE_RANK or pixels.dtype != np.uint8 or len(pixels) != len(labels):
        raise DataError(
            f"dataset.path={path}: {pixels_name} is {pixels.dtype} {pixels.shape}, not uint8 [{len(labels)}, H, W, C] "
            f"as {labels_name} has {len(labels)} labels."
        )
    return in_canonical_order(Images(pixels, labels.astype(np.int32)))
