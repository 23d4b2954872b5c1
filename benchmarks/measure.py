"""Times several actions in turn, in many rounds, because a machine's speed varies by half from minute to minute."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

Action = Callable[[], Any]


class Timings:
    """The seconds of several actions, each measured once per round in the same rounds."""

    def __init__(self, seconds: Mapping[str, Sequence[float]]) -> None:
        self._seconds = seconds

    def median(self, name: str) -> float:
        """Returns the action's median seconds."""
        return statistics.median(self._seconds[name])

    def ratio(self, name: str, reference: str) -> float:
        """Returns the median, over the rounds, of the action's seconds divided by the reference's in the same round."""
        return statistics.median(
            own / other for own, other in zip(self._seconds[name], self._seconds[reference], strict=True)
        )


def alternate(actions: Mapping[str, Action], rounds: int, warm_up: int = 2) -> Timings:
    """Runs all actions in turn, `rounds` times, after `warm_up` rounds that are not measured.

    An action must return only when its work is done.
    """
    for _ in range(warm_up):
        for action in actions.values():
            action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            seconds[name].append(_timed(action))
    return Timings(seconds)


def _timed(action: Action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def verdict(value: float, bound: float, at_most: bool) -> str:
    """Returns `PASS` if the value is within its bound, else `short`."""
    return "PASS" if (value <= bound if at_most else value >= bound) else "short"


def show(title: str, headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table in Markdown, under its title."""
    print(f"\n### {title}\n\n{tabulate(rows, headers, tablefmt='github', floatfmt='.2f')}", flush=True)
