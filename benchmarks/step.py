"""Compares each method's training step, data included, with the floor's; counts the multiply-adds beyond the floor.

python -m benchmarks.step pair [--methods at,rkd] [--precision float32]
"""

import argparse
from collections.abc import Sequence

from benchmarks import floor
from benchmarks.measure import Action, Timings, alternate, show, verdict
from benchmarks.own_work import own_share
from benchmarks.pairs import PAIRS, Pair
from benchmarks.training import floor_action, one_batch, prepare, step_action

FLOORS = {
    "student": ("student", "fitnet", "fsp", "ab"),  # their main stage needs no teacher
    "distillation": ("soft_logits", "at", "ft", "rkd", "vid", "co", "kd_svd", "kd_eid", "mhgd"),
    "mutual": ("dml",),
}
FLOOR_OF = {method: name for name, methods in FLOORS.items() for method in methods}
BOUND, BOUND_OF_DECOMPOSITIONS = 1.05, 1.25
DECOMPOSING = ("kd_svd", "kd_eid", "mhgd")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the given pair, and prints a table."""
    options = _parse(arguments)
    pair = PAIRS[options.pair]
    precision = prepare(pair, options.precision)
    measure(pair, options.methods or list(FLOOR_OF), precision)


def measure(pair: Pair, methods: Sequence[str], precision: str) -> None:
    """Times the methods and their floors in turn and prints the ratios."""
    actions = _floors(pair, {FLOOR_OF[method] for method in methods})
    actions |= {method: step_action(pair, method) for method in methods}
    timings = alternate(actions, pair.rounds)
    rows = [_row(pair, timings, method) for method in methods]
    title = f"Step over the floor: {pair.name}, batch {pair.batch_size}, {precision}"
    show(title, ["Method", "Step, ms", "Floor, ms", "Floor of", "Own work", "Ratio", "At most", ""], rows)


def _floors(pair: Pair, names: set[str]) -> dict[str, Action]:
    images, labels = one_batch(pair)
    steps = {
        "student": lambda: floor.student_floor(pair.student(), images, labels),
        "distillation": lambda: floor.distillation_floor(pair.student(), pair.teacher(), images, labels),
        "mutual": lambda: floor.mutual_floor(pair.student(), pair.teacher(), images, labels),
    }
    return {f"floor {name}": floor_action(pair, steps[name]()) for name in names}


def _row(pair: Pair, timings: Timings, method: str) -> list[str | float]:
    reference = FLOOR_OF[method]
    ratio = timings.ratio(method, f"floor {reference}")
    bound = BOUND_OF_DECOMPOSITIONS if method in DECOMPOSING else BOUND
    step, least = (1e3 * timings.median(name) / pair.steps for name in (method, f"floor {reference}"))
    own = own_share(pair, method)
    return [method, step, least, reference, own, ratio, bound, verdict(ratio, bound, at_most=True)]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=list(PAIRS))
    parser.add_argument("--methods", type=lambda value: value.split(","))
    parser.add_argument("--precision")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
