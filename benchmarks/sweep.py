"""Times a documented sweep on the digits, from command to last record: python -m benchmarks.sweep [method,method ...].

Compares its wall time with the sum of its runs' pure step time, says where the rest goes, and compares one process
with two.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import show, verdict
from kd_bench.results.sources import FoundRun, read_sources
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.metrics import read_metrics

SERIAL_BOUND, PARALLEL_BOUND = 1.3, 1.5
_ROOT = Path(__file__).parents[1]
_FRACTIONS = "fraction=1.0,0.5,0.25,0.1"
_SIDE_BY_SIDE = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]

Lines = list[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the sweep, with its runs one after the other and two at a time, and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="?", default="fitnet,at,fsp", help="separated by commas")
    methods = parser.parse_args(arguments).methods
    with tempfile.TemporaryDirectory() as folder:
        serial, parallel = Path(folder, "serial"), Path(folder, "parallel")
        for outputs in (serial, parallel):
            _sweep(outputs, ["method=teacher"])
        alone = _sweep(serial, [f"method={methods}", _FRACTIONS])
        together = _sweep(parallel, [f"method={methods}", _FRACTIONS, *_SIDE_BY_SIDE])
        parts = _parts(serial, methods.split(","), alone)
        results, others = _results(serial), _results(parallel)
    same = [results[run] == others[run] for run in results]
    overhead, gain = alone / parts[_STEPS], alone / together
    rows: list[list[Any]] = [
        ["one at a time, over its steps", alone, overhead, SERIAL_BOUND, verdict(overhead, SERIAL_BOUND, True)],
        ["two at a time, gain", together, gain, PARALLEL_BOUND, verdict(gain, PARALLEL_BOUND, at_most=False)],
        [
            "share of runs with the same metrics and predictions",
            None,
            statistics.mean(same),
            1,
            verdict(all(same), 1, False),
        ],
    ]
    show("A sweep on the digits, with a trained teacher", ["Runs", "Seconds", "Ratio", "Bound", ""], rows)
    shares = [[name, seconds, seconds / parts[_STEPS]] for name, seconds in parts.items()]
    show("Parts of the time with one run at a time", ["Part", "Seconds", "Over its steps"], shares)


def _sweep(outputs: Path, arguments: Sequence[str]) -> float:
    """Returns the seconds from the start of the command to its end."""
    command = [sys.executable, str(_ROOT / "run.py"), "-m", *arguments, f"outputs={outputs}"]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


_STEPS = "steps"


def _parts(outputs: Path, methods: Sequence[str], whole: float) -> dict[str, float]:
    """Returns the seconds of each part of a sweep; their sum is the whole."""
    runs = [run for run in read_sources([outputs]).runs if run.record.run.method in methods]
    in_runs = sum(run.record.cost.seconds or 0 for run in runs)
    in_training = sum(run.record.cost.training_seconds or 0 for run in runs)
    metrics = [read_metrics(_place(run).metrics) for run in runs]
    epochs = sum(line["seconds"] for lines in metrics for line in lines)
    steps = sum(map(_pure_seconds, metrics))
    return {
        "start of the command and of its processes": whole - in_runs,
        "data, networks, saving the network": in_runs - in_training,
        "pipeline, evaluations, checkpoints": in_training - epochs,
        "tracing and the first call of each stage": epochs - steps,
        _STEPS: steps,
    }


def _pure_seconds(lines: Lines) -> float:
    """Returns the seconds of all epochs, each with its stage's median: without tracing, evaluation and checkpoints."""
    stages: dict[str, list[float]] = {}
    for line in lines:
        stages.setdefault(line["stage"], []).append(line["seconds"])
    return sum(statistics.median(seconds) * len(seconds) for seconds in stages.values())


def _results(outputs: Path) -> dict[str, tuple[Lines, bytes]]:
    """Returns the results of each run, by its digest. Times are not results."""
    runs = [(run.record.run.digest, _place(run)) for run in read_sources([outputs]).runs]
    return {digest: (_timeless(place), place.predictions.read_bytes()) for digest, place in runs}


def _place(run: FoundRun) -> RunFolder:
    return RunFolder(Path(run.source, run.folder))


def _timeless(run: RunFolder) -> Lines:
    lines = read_metrics(run.metrics)
    return [{name: value for name, value in line.items() if not name.endswith("seconds")} for line in lines]


if __name__ == "__main__":
    main()
