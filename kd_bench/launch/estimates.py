"""Estimates how long runs will take, from earlier runs of this machine."""

import contextlib
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError
from kd_bench.runs.environment import machine
from kd_bench.runs.folder import RunFolder, find_runs
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.progress import progress
from kd_bench.runs.record import DONE, Record, read_record

_MACHINE = ("processor", "cores")
"""What makes two machines the same. An update of the system changes its `platform`."""
_ENOUGH = 5
"""Similar runs that are enough for an estimate: each costs the reading of its metrics."""


class _Earlier(NamedTuple):
    """An earlier run: its record, and its length in epochs over the full training set."""

    folder: RunFolder
    record: Record
    length: float

    def scaled(self, length: float) -> float:
        """Returns the seconds of a run of another length. The start, which includes tracing, takes as long in both."""
        seconds = self.record.cost.seconds or 0.0
        return seconds if length == self.length else seconds + _training(self) * (length / self.length - 1)


class Estimates:
    """Estimates from the finished runs with the same method, data set and networks in some outputs folders."""

    def __init__(self, outputs: Iterable[str]) -> None:
        """Reads the records of these folders; a folder that does not exist has none."""
        self._earlier: dict[tuple[str, ...], list[_Earlier]] = defaultdict(list)
        here = machine()
        for folder, record in _records(outputs):
            there = record.setting.machine
            if record.status == DONE and all(there.get(fact) == here[fact] for fact in _MACHINE):
                kind = _kind(record.run.dataset, record.run.method, record.config)
                self._earlier[kind].append(_Earlier(folder, record, length(record.config)))

    def seconds(self, run: RunConfig) -> float | None:
        """Returns the estimated seconds of a whole run; None without a similar run.

        Training time is proportional to the length of the main stage. Of the similar runs, those count whose length is
        nearest to this run's, at most five of them.
        """
        facts = run.facts()
        earlier, epochs = self._earlier.get(_kind(run.dataset.name, run.method.name, facts)), length(facts)
        if not earlier:
            return None
        nearest = min(abs(math.log(epochs / one.length)) for one in earlier)
        alike = [one for one in earlier if abs(math.log(epochs / one.length)) == nearest]
        return statistics.median(one.scaled(epochs) for one in alike[-_ENOUGH:])


def _records(outputs: Iterable[str]) -> Iterator[tuple[RunFolder, Record]]:
    for place in sorted(set(outputs)):
        for folder, has_record in find_runs(Path(place)):
            with contextlib.suppress(BenchError):  # the command says which of its own runs are damaged
                if has_record:
                    yield folder, read_record(folder.record)


def _kind(dataset: str, method: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    return dataset, method, json.dumps(facts.get("model"), sort_keys=True)


def _training(earlier: _Earlier) -> float:
    """Returns the training time of a run at the speed of its last epochs; without metrics, the measured time."""
    record, found = earlier.record, None
    with contextlib.suppress(BenchError):  # damaged: the command that needs this run says so
        found = progress(read_metrics(earlier.folder.metrics), 0, record.config.get("evaluate_every", 1))
    return found.finished * found.seconds if found else record.cost.training_seconds or 0.0


def length(facts: Mapping[str, Any]) -> float:
    """Returns the length of a run's main stage, in epochs over the full training set; 1 for an evaluation."""
    share = facts.get("fraction", 1.0) if facts.get("budget") == "epochs" else 1.0
    return facts.get("epochs", 1) * share
