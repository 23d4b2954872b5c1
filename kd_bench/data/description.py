"""What a set is, in words: the first line of a run."""

from kd_bench.data.images import ImageDataset, class_name
from kd_bench.messages import pluralize

_NAMED = 10
"""So many classes are named; of more, the first ones and the last one."""


def describe(dataset: ImageDataset, *, with_test: bool) -> str:
    """Returns the classes, the number of images in each part, their size and the set's remark, in one line.

    Args:
        dataset: any.
        with_test: whether the test images are counted. They are read for this.
    """
    names = [class_name(label, dataset.class_names) for label in range(dataset.num_classes)]
    listed = ", ".join(names if len(names) <= _NAMED else [*names[: _NAMED - 1], "...", names[-1]])
    count = f"{len(dataset.train)} training" + (f" and {len(dataset.test)} test" if with_test else "")
    height, width, channels = dataset.train.pixels.shape[1:]
    size = f"{height}x{width} pixels in {pluralize(channels, 'channel')}"
    return f"{dataset.num_classes} classes ({listed}), {count} images of {size}{dataset.remark}"
