"""Measures what a training step of each method costs, in each of its stages, in steps of the plain student.

python -m benchmarks.cost pair [--methods at,rkd] [--output costs.json]

The steps are timed in turn. `python aggregate.py --lengths --costs costs.json` counts costs in these times.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Timings, alternate, show
from benchmarks.pairs import PAIRS, Pair
from benchmarks.training import prepare, step_action
from kd_bench.installation import ROOT
from kd_bench.runs import environment
from kd_bench.runs.files import write_atomically

PLAIN = ("student", "main")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the given pair, prints a table, and writes the file."""
    options = _parse(arguments)
    pair = PAIRS[options.pair]
    precision = prepare(pair)
    methods = ["student", *(method for method in options.methods if method != "student")]
    actions = {
        (method, stage.name): step_action(pair, method, place)
        for method in methods
        for place, stage in enumerate(pair.distiller(method).stages())
    }
    timings = alternate({_name(*key): action for key, action in actions.items()}, pair.rounds)
    costs = {key: timings.ratio(_name(*key), _name(*PLAIN)) for key in actions}
    rows = [[*key, 1e3 * timings.median(_name(*key)) / pair.steps, cost] for key, cost in costs.items()]
    show(f"Cost of a step: {pair.name}, batch {pair.batch_size}, {precision}", ["Method", "Stage", "ms", "Cost"], rows)
    if options.output:
        write_atomically(options.output, _document(pair, precision, costs, timings))


def _name(method: str, stage: str) -> str:
    return f"{method} {stage}"


def _document(pair: Pair, precision: str, costs: dict[tuple[str, str], float], timings: Timings) -> str:
    steps: dict[str, dict[str, float]] = {}
    for (method, stage), cost in costs.items():
        steps.setdefault(method, {})[stage] = round(cost, 3)
    facts = {
        "pair": pair.name,
        "batch_size": pair.batch_size,
        "precision": precision,
        "threads": pair.config().hardware.parameters.get("threads"),
        "plain_step_ms": round(1e3 * timings.median(_name(*PLAIN)) / pair.steps, 1),
        "rounds": pair.rounds,
        "machine": environment.machine(),
        "versions": environment.versions(),
        "git": environment.git_revision(),
        "steps": steps,
    }
    return json.dumps(facts, indent=1) + "\n"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", choices=list(PAIRS))
    parser.add_argument("--methods", type=lambda value: value.split(","), default=_methods())
    parser.add_argument("--output", type=Path, help="the file of costs")
    return parser.parse_args(arguments)


def _methods() -> list[str]:
    return [path.stem for path in sorted((ROOT / "conf/method").glob("*.yaml")) if path.stem != "teacher"]


if __name__ == "__main__":
    main()
