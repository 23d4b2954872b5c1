"""How far a network shrinks an image."""

from collections.abc import Sequence

from kd_bench.errors import ConfigError


def require_size(input_shape: tuple[int, int, int], strides: Sequence[int]) -> None:
    """Checks that no stride is larger than the map to which it is applied.

    Args:
        input_shape: height, width and channels of an image.
        strides: of the layers that shrink the map, shallow to deep; sizes round up.

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
        size = -(-size // stride)
