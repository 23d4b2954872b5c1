"""Which blocks of a network are its feature points."""

from collections.abc import Sequence

from kd_bench.errors import ConfigError


def require_points(points: Sequence[int], last: int) -> None:
    """Checks the blocks that a config names as feature points.

    Args:
        points: the blocks, counted from 1.
        last: the number of blocks.

    Raises:
        ConfigError: they are not blocks from 1 to the last one in rising order.
    """
    if not points or [block for block in range(1, last + 1) if block in points] != list(points):
        raise ConfigError(f"points={points}: must be blocks from 1 to {last} in rising order, such as [1,2,3].")
