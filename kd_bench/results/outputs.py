"""Everything that lies in the outputs folder: finished runs, unfinished ones, and records that cannot be read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kd_bench.errors import BenchError
from kd_bench.results.grouping import group_by
from kd_bench.runs.record import FAILED, RECORD_NAME, Record, find_runs, read_record


class FinishedRun(NamedTuple):
    """A run that is over, done or failed."""

    directory: str
    record: Record


@dataclass(frozen=True)
class Outputs:
    """What was found.

    Attributes:
        finished: The runs that count.
        repeats: Finished runs left out, because another has their protocol, fraction and seed.
        unfinished: Directories with a config and no record: still going, or interrupted.
        unreadable: A message for each record that cannot be read.
    """

    finished: list[FinishedRun]
    repeats: list[FinishedRun]
    unfinished: list[str]
    unreadable: list[str]

    @property
    def failed(self) -> list[FinishedRun]:
        """The finished runs that failed."""
        return [run for run in self.finished if run.record.status == FAILED]


def load_outputs(outputs: Path) -> Outputs:
    """Reads every record below `outputs`; one that cannot be read is reported, not raised."""
    runs: list[FinishedRun] = []
    unfinished: list[str] = []
    unreadable: list[str] = []
    for directory, has_record in find_runs(outputs):
        if not has_record:
            unfinished.append(directory.as_posix())
            continue
        try:
            runs.append(FinishedRun(directory.as_posix(), read_record(directory / RECORD_NAME)))
        except BenchError as error:
            unreadable.append(str(error))
    finished, repeats = split_repeats(runs)
    return Outputs(finished, repeats, unfinished, unreadable)


def split_repeats(runs: Iterable[FinishedRun]) -> tuple[list[FinishedRun], list[FinishedRun]]:
    """Separates the runs that count from those that repeat one of them, e.g. in a copied folder.

    Of several, the one that counts is done rather than failed, and then the one finished last.
    """
    alike = group_by(runs, lambda run: (*same_protocol(run.record), run.record.run.fraction, run.record.run.seed))
    ranked = [sorted(group, key=_preference, reverse=True) for group in alike.values()]
    return [group[0] for group in ranked], [run for group in ranked for run in group[1:]]


def _preference(run: FinishedRun) -> tuple[bool, str]:
    return run.record.status != FAILED, run.record.setting.finished


def same_protocol(record: Record) -> tuple[str, ...]:
    """Returns what two runs must share to be averaged; they may differ in fraction and seed alone."""
    run = record.run
    return run.dataset, run.model, run.label, run.protocol, record.setting.precision
