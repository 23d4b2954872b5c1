"""Peak memory of a training compared with the floor, and over a sweep: python -m benchmarks.memory [pair ...]."""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks import PAIR_NAMES
from benchmarks.measure import show, verdict

BOUND, BOUND_OF_SWEEP = 1.15, 1.05
_RUNS = 8
_SETTLED = 3
"""The number of runs after which a sweep's memory should not grow any more."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the given pairs, then a sweep, each in its own process, and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="*", default=list(PAIR_NAMES))
    parser.add_argument("--part", choices=list(_PARTS), help="measure one part in this process")
    options = parser.parse_args(arguments)
    if options.part:
        _PARTS[options.part](options.pairs[0])
        return
    headers = ["Pair", "Run, MB", "Floor, MB", "Ratio", "At most", ""]
    rows = [_row(pair, "run") for pair in options.pairs] + [_row("digits", "whole")]
    show(
        "Peak memory of soft_logits' training, and of a whole run with data, evaluation and checkpoints", headers, rows
    )
    headers = ["Runs", f"After {_SETTLED}, MB", "At the end, MB", "Ratio", "At most", ""]
    show("Memory over a sweep of digits runs in one process", headers, [_sweep_row()])


def _row(pair: str, part: str) -> list[str | float]:
    run, floor = (_measured(measured, pair)[-1] for measured in (part, "floor"))
    name = f"{pair}, whole run" if part == "whole" else pair
    return [name, run, floor, run / floor, BOUND, verdict(run / floor, BOUND, at_most=True)]


def _sweep_row() -> list[str | float]:
    peaks = _measured("sweep", "digits")
    settled, last = peaks[_SETTLED - 1], peaks[-1]
    return [_RUNS, settled, last, last / settled, BOUND_OF_SWEEP, verdict(last / settled, BOUND_OF_SWEEP, at_most=True)]


def _measured(part: str, pair: str) -> list[float]:
    program = [sys.executable, "-m", "benchmarks.memory", pair, "--part", part]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    return [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("peak ")]


def _print_peak() -> None:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


def _floor(name: str) -> None:
    # Only the measured process imports TensorFlow.
    from benchmarks.floor import distillation_floor
    from benchmarks.pairs import PAIRS
    from benchmarks.training import floor_action, one_batch, prepare

    pair = PAIRS[name]
    prepare(pair)
    action = floor_action(pair, distillation_floor(pair.student(), pair.teacher(), *one_batch(pair)))
    for _ in range(3):
        action()
    _print_peak()


def _run(name: str) -> None:
    from benchmarks.pairs import PAIRS
    from benchmarks.training import prepare, step_action

    prepare(PAIRS[name])
    action = step_action(PAIRS[name], "soft_logits")
    for _ in range(3):
        action()
    _print_peak()


def _whole(_: str) -> None:
    from kd_bench.config.compose import jobs
    from kd_bench.execution import run
    from kd_bench.launch import processes

    with tempfile.TemporaryDirectory() as folder:
        (config,) = jobs(["method=soft_logits", "epochs=2", "teacher.epochs=1", f"outputs={folder}"])
        teacher = config.teacher_run()
        assert teacher is not None, "soft logits have a trained teacher"
        processes.run(teacher)
        # In this process, like the floor: a forked process would not count memory that it shares with its server.
        run(config)
    _print_peak()


def _sweep(_: str) -> None:
    from kd_bench.config.compose import jobs
    from kd_bench.execution import run

    with tempfile.TemporaryDirectory() as folder:
        for seed in range(_RUNS):
            (config,) = jobs(["method=student", "epochs=2", f"seed={seed}", f"outputs={folder}"])
            run(config)
            _print_peak()


_PARTS = {"floor": _floor, "run": _run, "whole": _whole, "sweep": _sweep}

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
