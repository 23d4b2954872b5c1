"""How far a network shrinks an image."""

from collections.abc import Sequence
from typing import Literal

from kd_bench.errors import ConfigError


def require_size(
    input_shape: tuple[int, int, int], strides: Sequence[int], rounded: Literal["up", "down"] = "up"
) -> None:
    """Checks that no stride is larger than the map to which it is applied.

    Args:
        input_shape: height, width and channels of an image.
        strides: of the layers that shrink the map, shallow to deep.
        rounded: how a size that its stride does not divide is rounded.

    Raises:
        ConfigError: a stride is larger than its map.
    """
    size = min(input_shape[:2])
    for stride in strides:
        if stride > size:
            raise ConfigError(
                f"images of shape {tuple(input_shape)} are too small for the strides {list(strides)}: "
                f"a map of size {size} is left for a stride of {stride}. Choose larger images (dataset.image_size), or "
                "smaller or fewer strides (model.teacher and model.student: stem_stride, or a VGG's poolings)."
            )
        size = -(-size // stride) if rounded == "up" else size // stride
