"""Reads a user's own images from a file of NumPy arrays."""

import numpy as np

from kd_bench.checks import NonNegativeInt, Probability
from kd_bench.config.paths import expanded
from kd_bench.data.images import ImageDataset, Images, in_canonical_order
from kd_bench.data.user_images import readable, split_off_test, user_dataset
from kd_bench.errors import DataError

_IMAGE_RANK = 4
_CHANNELS = (1, 3, 4)


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
    source = f"dataset.path={path}"
    arrays = _read(source, path)
    if arrays.keys() >= {"x_train", "y_train", "x_test", "y_test"}:
        train, test = (_images(source, arrays, f"x_{part}", f"y_{part}") for part in ("train", "test"))
    elif arrays.keys() >= {"x", "y"}:
        train, test = split_off_test(source, _images(source, arrays, "x", "y"), test_share)
    else:
        raise DataError(
            f"{source}: has the arrays {', '.join(arrays)}; it needs x_train, y_train, x_test and y_test, or x and y."
        )
    return user_dataset(source, name, train, test, padding, flip)


def _read(source: str, path: str) -> dict[str, np.ndarray]:
    with (
        readable(f"{source}: is not a file that numpy.savez wrote", "write it again, without objects"),
        expanded("dataset.path", path).open("rb") as stream,
        np.load(stream, allow_pickle=False) as arrays,
    ):
        return {name: np.asarray(array) for name, array in arrays.items()}  # of what is no array, the bytes


def _images(source: str, arrays: dict[str, np.ndarray], pixels_name: str, labels_name: str) -> Images:
    labels = _labels(source, labels_name, arrays[labels_name])
    pixels = arrays[pixels_name]
    if pixels.ndim == _IMAGE_RANK - 1:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != _IMAGE_RANK or pixels.dtype != np.uint8 or len(pixels) != len(labels):
        raise DataError(
            f"{source}: {pixels_name} is {pixels.dtype} {pixels.shape}, not uint8 [{len(labels)}, H, W, C] as "
            f"{labels_name} has {len(labels)} labels."
        )
    if not pixels.size:
        raise DataError(f"{source}: {pixels_name} has the shape {pixels.shape}: no images.")
    if pixels.shape[3] not in _CHANNELS and pixels.shape[1] in _CHANNELS:
        raise DataError(
            f"{source}: {pixels_name} has the shape {pixels.shape}, which looks like [N, C, H, W]; save "
            f"{pixels_name}.transpose(0, 2, 3, 1), which is [N, H, W, C]."
        )
    return in_canonical_order(Images(pixels, labels))


def _labels(source: str, name: str, labels: np.ndarray) -> np.ndarray:
    """Returns labels, int32 `[N]`, if they can be labels of N images and are the same numbers in 32 bits."""
    if labels.shape[1:] == (1,):
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or (labels < 0).any():
        raise DataError(f"{source}: {name} is {labels.dtype} {labels.shape}, not integers [N] from 0 to K-1.")
    narrow = labels.astype(np.int32)
    if (narrow != labels).any():
        raise DataError(f"{source}: {name} has the label {labels.max()}; labels must be 0 to K-1.")
    return narrow
