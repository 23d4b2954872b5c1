"""What is measured of an exported network: whether it predicts what the run predicted, its time and its size."""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

_WARM_UP = 10
_LEAST, _MOST = 10, 300
_SECONDS = 5.0
"""Calls are timed for so long, but at least `_LEAST` and at most `_MOST` times."""


def different(logits: np.ndarray, classes: np.ndarray, noise: float) -> np.ndarray:
    """Returns for which images the logits give another class, and not only because two logits are nearly equal.

    Args:
        logits: float `[N,K]`.
        classes: the expected classes, int `[N]`.
        noise: a smaller difference of two logits, as a share of the range of the image's logits, does not count.

    Returns:
        bool `[N]`; true for logits that are not finite.
    """
    highest = logits.max(axis=1)
    lead = highest - logits[np.arange(len(logits)), classes]
    return ~(lead <= noise * (highest - logits.min(axis=1)))


def median_seconds(call: Callable[[np.ndarray], object], inputs: Sequence[np.ndarray]) -> float:
    """Returns the median time of a call after some calls that do not count.

    Args:
        call: what is timed.
        inputs: its arguments, one after the other and then again from the first.
    """
    arguments = itertools.cycle(inputs)
    for _ in range(_WARM_UP):
        call(next(arguments))
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _LEAST or (len(times) < _MOST and time.perf_counter() < end):
        argument, start = next(arguments), time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def size_bytes(path: Path) -> int:
    """Returns the size of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
