"""The training images of a fraction: stratified, nested, the same for all methods and seeds.

Only the subset seed chooses them, not the run's seed: runs differ by method or by chance, but not in their images.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np

from kd_bench.data.images import Images, class_name
from kd_bench.errors import DataError
from kd_bench.seeds import seed_for


class MissingClassError(DataError):
    """A part of the images has none of a class.

    Attributes:
        reason: the message, with `{}` in place of the class.
        label: of the class.
    """

    def __init__(self, reason: str, label: int) -> None:
        super().__init__(reason.format(label))
        self.reason = reason
        self.label = label


@contextlib.contextmanager
def naming_classes(class_names: Sequence[str]) -> Iterator[None]:
    """Names the class, instead of its label, if the body raises `MissingClassError`."""
    try:
        yield
    except MissingClassError as error:
        raise DataError(error.reason.format(class_name(error.label, class_names))) from error


def stratified_order(labels: np.ndarray, subset_seed: int, purpose: str = "subset") -> np.ndarray:
    """Orders images so that every prefix has the same share of each class as the whole, to within one image.

    Each class is permuted separately. Its images are then spread evenly over the whole order.

    Args:
        labels: int [N].
        subset_seed: decides the permutations.
        purpose: what the order is for; each purpose has different permutations.

    Returns:
        A permutation of 0 to N-1, int64 [N].
    """
    members, positions, classes = [], [], []
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label)
        random = np.random.default_rng([seed_for(subset_seed, purpose), int(label)])
        members.append(random.permutation(indices))
        positions.append((np.arange(len(indices)) + 0.5) / len(indices))
        classes.append(np.full(len(indices), label))
    order = np.lexsort((np.concatenate(classes), np.concatenate(positions)))
    return np.concatenate(members)[order].astype(np.int64)


def subset(labels: np.ndarray, fraction: float, subset_seed: int) -> np.ndarray:
    """Returns the images of a fraction. A larger fraction contains all images of a smaller one.

    Args:
        labels: int [N].
        fraction: above 0 and at most 1.
        subset_seed: decides which images.

    Returns:
        Indices, int64 [round(N * fraction)], ascending. The full set is the same for every subset seed.

    Raises:
        DataError: the fraction is out of range, or leaves a class without images.
    """
    if not 0 < fraction <= 1:
        raise DataError(f"fraction={fraction}: must be above 0 and at most 1.")
    order = stratified_order(labels, subset_seed)
    size = round(len(labels) * fraction)
    chosen = order[:size]
    missing = np.setdiff1d(labels, labels[chosen])
    if missing.size:
        raise MissingClassError(
            f"fraction={fraction:g} keeps {size} of {len(labels)} images and none of class {{}}; "
            f"the smallest fraction with every class is {_smallest_fraction(labels[order]):g}.",
            missing[0],
        )
    return np.sort(chosen)


def _smallest_fraction(ordered_labels: np.ndarray) -> float:
    _, first_positions = np.unique(ordered_labels, return_index=True)
    size, count = int(first_positions.max()) + 1, len(ordered_labels)
    scale = 10 ** math.ceil(math.log10(count) + 1)
    return math.ceil(size / count * scale) / scale


def hold_out(
    labels: np.ndarray, share: float, subset_seed: int, key: str = "validation"
) -> tuple[np.ndarray, np.ndarray]:
    """Divides images into a training part and one to evaluate on, both with images of every class.

    Args:
        labels: int [N].
        share: the share to evaluate on, above 0 and below 1.
        subset_seed: decides which images.
        key: of the share, for messages; each key has permutations that are independent of the others.

    Returns:
        Two arrays of indices, int64, ascending: the training part, and round(N * share) to evaluate on.

    Raises:
        DataError: the share leaves a class without images on one side.
    """
    order = stratified_order(labels, subset_seed, key)
    size = round(len(labels) * share)
    for part, side in (("evaluation", order[:size]), ("training", order[size:])):
        missing = np.setdiff1d(labels, labels[side])
        if missing.size:
            raise MissingClassError(
                f"{key}={share:g} leaves {len(side)} of {len(labels)} images for {part} and none of class {{}}; "
                f"{_workable_shares(labels[order])}",
                missing[0],
            )
    return np.sort(order[size:]), np.sort(order[:size])


def _workable_shares(ordered_labels: np.ndarray) -> str:
    """Says which validation shares leave images of every class in both parts."""
    count = len(ordered_labels)
    smallest, largest = _smallest_fraction(ordered_labels), 1 - _smallest_fraction(ordered_labels[::-1])
    if round(count * smallest) > round(count * largest):
        return "no share leaves every class on both sides; raise fraction, or add images of the class."
    return f"the smallest share with every class on both sides is {smallest:g}, the largest {largest:g}."


def take(images: Images, indices: np.ndarray) -> Images:
    """Returns the images at these indices, int [M]. Images on disk or encoded stay so; the full set is not copied."""
    if np.array_equal(indices, np.arange(len(images))):
        return images
    labels, digests = images.labels[indices], None if images.digests is None else images.digests[indices]
    if images.on_disk:
        return Images(images.pixels, labels, indices if images.rows is None else images.rows[indices], digests)
    return Images(images.read(indices), labels, digests=digests)
