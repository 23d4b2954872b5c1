"""A documented sweep on the digits, from command to last record: python -m benchmarks.sweep [method,method ...].

Its wall time against the sum of its runs' pure step time, and two processes against one.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import show, verdict

SERIAL_BOUND, PARALLEL_BOUND = 1.3, 1.5
_ROOT = Path(__file__).parents[1]
_FRACTIONS = "fraction=1.0,0.5,0.25,0.1"
_SIDE_BY_SIDE = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hardware.threads=1"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the sweep, started one after the other and side by side, and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="?", default="fitnet,at,fsp", help="with commas between them")
    methods = parser.parse_args(arguments).methods
    with tempfile.TemporaryDirectory() as folder:
        serial, parallel = Path(folder, "serial"), Path(folder, "parallel")
        teacher = _sweep(serial, ["method=teacher"])
        _sweep(parallel, ["method=teacher"])
        alone = _sweep(serial, [f"method={methods}", _FRACTIONS])
        together = _sweep(parallel, [f"method={methods}", _FRACTIONS, *_SIDE_BY_SIDE])
        steps = _pure_seconds(serial, methods)
        largest = _largest_difference(serial, parallel)
    print(f"One teacher before each: {teacher:.0f} s. Largest difference of the two sweeps' accuracies: {largest:.2%}.")
    overhead, gain = alone / steps, alone / together
    rows = [
        ["one after the other", alone, steps, overhead, SERIAL_BOUND, verdict(overhead, SERIAL_BOUND, at_most=True)],
        ["two at a time", together, alone, gain, PARALLEL_BOUND, verdict(gain, PARALLEL_BOUND, at_most=False)],
    ]
    headers = ["Runs", "Seconds", "Of pure steps; of the other", "Ratio", "Bound", ""]
    show("A sweep's time over its steps', and its gain from two processes", headers, rows)


def _sweep(outputs: Path, arguments: Sequence[str]) -> float:
    """Returns the seconds from the command to its end."""
    command = [sys.executable, str(_ROOT / "run.py"), "-m", *arguments, f"outputs={outputs}"]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def _pure_seconds(outputs: Path, methods: str) -> float:
    """Returns the time of all runs' epochs, each stage's at its median: without tracing, evaluation and checkpoints."""
    total = 0.0
    for path in outputs.rglob("metrics.jsonl"):
        if path.parts[-4] not in methods.split(","):
            continue
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for stage in {line["stage"] for line in lines}:
            seconds = [line["seconds"] for line in lines if line["stage"] == stage]
            total += statistics.median(seconds) * len(seconds)
    return total


def _largest_difference(one: Path, other: Path) -> float:
    """Returns how far apart the accuracies of the same run are in the two sweeps."""
    paths = [path.relative_to(one) for path in one.rglob("result.json")]
    return max(abs(_accuracy(one / path) - _accuracy(other / path)) for path in paths)


def _accuracy(path: Path) -> float:
    return json.loads(path.read_text())["scores"]["last_accuracy"]


if __name__ == "__main__":
    main()
