"""The input pipeline alone, on one core, against what the step consumes: python -m benchmarks.pipeline [pair ...]."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.measure import alternate, show, verdict
from benchmarks.pairs import PAIRS, Pair
from benchmarks.training import batches, prepare, step_action

BOUND = 20
_SECONDS = 3.0
_ALONE = "--alone"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the pairs asked for, and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument(_ALONE, action="store_true", help="print one pair's batches a second, on one core")
    options = parser.parse_args(arguments)
    if options.alone:
        print(_batches_a_second(PAIRS[options.pairs[0]]))
        return
    headers = ["Pair", "Precision", "Pipeline, batches/s", "Step, batches/s", "Ratio", "At least", ""]
    show("Pipeline on one core over soft_logits' step", headers, [_row(name) for name in options.pairs])


def _row(name: str) -> list[str | float]:
    pair = PAIRS[name]
    precision = prepare(pair)
    step = alternate({"step": step_action(pair, "soft_logits")}, pair.rounds).median("step") / pair.steps
    delivered = _on_one_core(name)
    ratio = delivered * step
    return [pair.name, precision, delivered, 1 / step, ratio, BOUND, verdict(ratio, BOUND, at_most=False)]


def _on_one_core(name: str) -> float:
    """Runs this program alone in a process that may use one core only: TensorFlow then makes one thread."""
    program = [sys.executable, "-m", "benchmarks.pipeline", name, _ALONE]
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        ["taskset", "--cpu-list", str(core), *program], capture_output=True, text=True, check=True, timeout=600
    )
    return float(done.stdout.splitlines()[-1])


def _batches_a_second(pair: Pair) -> float:
    images = iter(batches(pair))
    for _ in range(20):
        next(images)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < _SECONDS:
        next(images)
        count += 1
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
