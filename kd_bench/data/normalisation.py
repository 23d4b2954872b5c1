"""The numbers by which images are normalised."""

from typing import Literal

import numpy as np

from kd_bench.data.images import Images, channel_statistics
from kd_bench.errors import DataError

Normalisation = Literal["dataset", "imagenet"]
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""Of pixels on the scale 0 to 1, as PyTorch's ImageNet example and its pretrained networks have them."""


def statistics(normalisation: Normalisation, images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation, float32 [C], on the scale 0 to 255.

    Args:
        normalisation: `dataset` computes them exactly; encoded images are decoded once for it.
        images: the training images.

    Raises:
        DataError: the numbers of ImageNet are wanted for images without three channels.
    """
    if normalisation == "dataset":
        return channel_statistics(images.pixels, images.rows)
    channels = images.pixels.shape[-1]
    if channels != len(IMAGENET_MEAN):
        raise DataError(
            f"dataset.normalisation=imagenet: has 3 channels, and the images have {channels}; set "
            "dataset.normalisation=dataset."
        )
    return (255 * IMAGENET_MEAN).astype(np.float32), (255 * IMAGENET_STD).astype(np.float32)
