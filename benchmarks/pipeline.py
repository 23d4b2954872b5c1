"""Compares the input pipeline on one core with what the step consumes: python -m benchmarks.pipeline pair."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.measure import alternate, show, verdict
from benchmarks.pairs import PAIRS, Pair
from benchmarks.training import batches, prepare, step_action
from kd_bench.data.images import ImageDataset, Images

BOUND, STREAMING_BOUND = 20, 5
_SECONDS = 3.0
_ALONE, _STREAMING = "--alone", "--streaming"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the given pair, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=list(PAIRS))
    parser.add_argument(_ALONE, action="store_true", help="print one pair's batches per second, on one core")
    parser.add_argument(_STREAMING, action="store_true", help="with the images on disk")
    options = parser.parse_args(arguments)
    if options.alone:
        pair = PAIRS[options.pair]
        print(_streamed_batches_a_second(pair) if options.streaming else _batches_a_second(pair))
        return
    headers = ["Pair", "Precision", "Pipeline, batches/s", "Step, batches/s", "Ratio", "At least", ""]
    show("Pipeline on one core over soft_logits' step", headers, _rows(options.pair))


def _rows(name: str) -> list[list[str | float]]:
    pair = PAIRS[name]
    precision = prepare(pair)
    step = alternate({"step": step_action(pair, "soft_logits")}, pair.rounds).median("step") / pair.steps
    rows: list[list[str | float]] = []
    for label, bound, options in (("memory", BOUND, []), ("disk", STREAMING_BOUND, [_STREAMING])):
        delivered = _on_one_core(name, *options)
        kept = verdict(delivered * step, bound, at_most=False)
        rows.append([f"{pair.name}, from {label}", precision, delivered, 1 / step, delivered * step, bound, kept])
    return rows


def _on_one_core(name: str, *options: str) -> float:
    """Runs this program in a process that may use only one core, so that TensorFlow makes one thread."""
    program = [sys.executable, "-m", "benchmarks.pipeline", name, _ALONE, *options]
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        ["taskset", "--cpu-list", str(core), *program], capture_output=True, text=True, check=True, timeout=600
    )
    return float(done.stdout.splitlines()[-1])


def _streamed_batches_a_second(pair: Pair) -> float:
    """Puts the pair's images on disk. The system caches what fits into memory, which is not all of a larger set."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pixels.npy")
        np.save(path, pair.dataset.train.read(np.arange(pair.train_images)))
        images = Images(np.load(path, mmap_mode="r"), pair.dataset.train.labels)
        return _batches_a_second(pair, replace(pair.dataset, train=images))


def _batches_a_second(pair: Pair, dataset: ImageDataset | None = None) -> float:
    images = iter(batches(pair, dataset))
    for _ in range(20):
        next(images)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < _SECONDS:
        next(images)
        count += 1
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
