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
from kd_bench.runs.folder import find_runs
from kd_bench.runs.record import DONE, Record, read_record

_MACHINE = ("processor", "cores")
"""What makes two machines the same. An update of the system changes its `platform`."""


class _Earlier(NamedTuple):
    """An earlier run: its length in epochs over the full training set, its training time, and its other time."""

    length: float
    training: float
    other: float


class Estimates:
    """Estimates from the finished runs with the same method, data set and networks in some outputs folders."""

    def __init__(self, outputs: Iterable[str]) -> None:
        """Reads the records of these folders; a folder that does not exist has none."""
        self._earlier: dict[tuple[str, ...], list[_Earlier]] = defaultdict(list)
        here = machine()
        for record in _records(outputs):
            there = record.setting.machine
            if record.status == DONE and all(there.get(fact) == here[fact] for fact in _MACHINE):
                kind = _kind(record.run.dataset, record.run.method, record.config)
                self._earlier[kind].append(_measured(record))

    def seconds(self, run: RunConfig) -> float | None:
        """Returns the estimated seconds of a whole run; None without a similar run.

        Training time is proportional to the length of the main stage. Of the similar runs, those count whose length is
        nearest to this run's.
        """
        facts = run.facts()
        earlier, length = self._earlier.get(_kind(run.dataset.name, run.method.name, facts)), _length(facts)
        if not earlier:
            return None
        nearest = min(abs(math.log(length / one.length)) for one in earlier)
        alike = [one for one in earlier if abs(math.log(length / one.length)) == nearest]
        return statistics.median(one.other + one.training * length / one.length for one in alike)


def _records(outputs: Iterable[str]) -> Iterator[Record]:
    for place in sorted(set(outputs)):
        for folder, has_record in find_runs(Path(place)):
            with contextlib.suppress(BenchError):  # the command says which of its own runs are damaged
                if has_record:
                    yield read_record(folder.record)


def _kind(dataset: str, method: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    return dataset, method, json.dumps(facts.get("model"), sort_keys=True)


def _measured(record: Record) -> _Earlier:
    training, seconds = record.cost.training_seconds or 0.0, record.cost.seconds or 0.0
    return _Earlier(_length(record.config), training, seconds - training)


def _length(facts: Mapping[str, Any]) -> float:
    """Returns the length of a run's main stage, in epochs over the full training set; 1 for an evaluation."""
    share = facts["fraction"] if facts.get("budget") == "epochs" else 1.0
    return facts.get("epochs", 1) * share
