"""Measures the CPU time of `aggregate.py` over many records: python -m benchmarks.table [counts ...].

A usual table has a bound in seconds, since importing pandas takes most of them. Thousands of records are compared with
a loop of `json.load`.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import show, verdict
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import DONE, Cost, Record, Run, Scores, Setting, write_record

USUAL, SECONDS_BOUND = 200, 1.0
"""The number of runs in a usual table, and the bound on its CPU seconds."""
RATIO_BOUND = 3
_ROUNDS = 3
_METHODS, _FRACTIONS = 15, (1.0, 0.5, 0.25, 0.1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the records, times both, and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[10_000, 100_000])
    counts = parser.parse_args(arguments).counts
    seconds, *_ = _measure(USUAL)
    usual = [USUAL, seconds, SECONDS_BOUND, verdict(seconds, SECONDS_BOUND, at_most=True)]
    show("A usual table", ["Records", "CPU, s", "At most", ""], [usual])
    headers = ["Records", "aggregate.py, s", "json.load, s", "Ratio", "At most", "", "MB", "MB, json.load"]
    show("The table over a loop of json.load", headers, [_row(count) for count in counts])


def _row(count: int) -> list[str | float]:
    aggregated, memory, loaded, least = _measure(count)
    ratio = aggregated / loaded
    return [count, aggregated, loaded, ratio, RATIO_BOUND, verdict(ratio, RATIO_BOUND, at_most=True), memory, least]


def _measure(count: int) -> tuple[float, float, float, float]:
    """Returns the CPU seconds and the peak memory in MB of `aggregate.py`, and then of the loop."""
    with tempfile.TemporaryDirectory() as folder:
        write_records(Path(folder), count)
        table = [sys.executable, "aggregate.py", "--outputs", folder]
        loop = [sys.executable, "-c", _LOOP, folder, RunFolder(Path(folder)).record.name]
        timings = [(_timed(table), _timed(loop)) for _ in range(_ROUNDS)]
    (aggregated, memory), (loaded, least) = (min(column) for column in zip(*timings, strict=True))
    return aggregated, memory, loaded, least


_LOOP = """
import json, os, sys
records = []
for folder, _, files in os.walk(sys.argv[1]):
    if sys.argv[2] in files:
        with open(os.path.join(folder, sys.argv[2])) as file:
            records.append(json.load(file))
"""


def _timed(program: Sequence[str]) -> tuple[float, float]:
    """Returns a program's CPU seconds and its peak memory in MB."""
    measured = [sys.executable, "-c", _MEASURED, *program]
    done = subprocess.run(measured, capture_output=True, text=True, check=True)
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


_MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def write_records(outputs: Path, count: int) -> None:
    """Writes the records of `count` runs: 15 methods at 4 fractions, with as many seeds as needed."""
    for number in range(count):
        place, seed = number % (_METHODS * len(_FRACTIONS)), number // (_METHODS * len(_FRACTIONS))
        method, fraction = place % _METHODS, _FRACTIONS[place // _METHODS]
        folder = RunFolder(outputs / "digits" / "tiny" / f"method{method}" / f"fraction={fraction:g}" / f"seed={seed}")
        folder.make()
        write_record(folder.record, _record(f"method{method}", fraction, seed))


def _record(method: str, fraction: float, seed: int) -> Record:
    accuracy = 0.9 + seed % 100 / 1000
    label = "Student" if method == "method0" else method
    protocol = hashlib.sha256(method.encode()).hexdigest()[:16]
    run = replace(_RUN, method=method, label=label, protocol=protocol, fraction=fraction, seed=seed)
    run = replace(run, digest=f"{seed:016x}")
    scores = Scores(last_accuracy=accuracy, best_accuracy=accuracy, best_epoch=30, agreement=accuracy)
    config = _CONFIG | {
        "seed": seed,
        "fraction": fraction,
        "method": {"_target_": "a.b.c", "name": method, "beta": 1.0},
    }
    return Record(status=DONE, run=run, scores=scores, cost=_COST, setting=_SETTING, config=config)


_RUN = Run(
    experiment="digits",
    dataset="digits",
    model="tiny",
    method="",
    label="",
    fraction=1.0,
    seed=0,
    subset_seed=0,
    budget="steps",
    digest="",
    protocol="",
    variant={},
)
_COST = Cost(
    train_images=1297,
    steps={"main": 600},
    seconds=20.5,
    training_seconds=15.25,
    peak_memory_bytes=10**9,
    parameters=20_000,
    multiply_adds=10**6,
)
_SETTING = Setting(
    precision="float32",
    replicas=1,
    code="0" * 16,
    data="0" * 16,
    seeds={"initialisation": 1, "shuffle": 2, "augmentation": 3},
    versions={"python": "3.11", "tensorflow": "2.21", "keras": "3.15"},
    machine={"system": "Linux", "processors": 2},
    git={"revision": "0" * 40, "changed": False},
    finished="2026-01-01T00:00:00+00:00",
)
_CONFIG = {f"group{number}": {"_target_": "a.b.c", "x": 0.1, "y": 2, "z": True} for number in range(10)}

if __name__ == "__main__":
    main()
