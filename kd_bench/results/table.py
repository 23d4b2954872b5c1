"""From finished runs to tables: one per dataset and model, a row per method, a column per fraction."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from kd_bench.results.cell import Cell
from kd_bench.results.compare import compare_rows
from kd_bench.results.grouping import group_by
from kd_bench.results.naming import row_names, row_place
from kd_bench.results.outputs import FinishedRun, Outputs, same_protocol
from kd_bench.results.row import Row
from kd_bench.runs.record import DONE, FAILED, Record


class Subject(NamedTuple):
    """What a table is about."""

    dataset: str
    model: str


@dataclass(frozen=True)
class Table:
    """The results on one dataset and model. `unfinished` and `repeats` are what its cells leave out."""

    subject: Subject
    rows: list[Row]
    unfinished: list[str]
    repeats: list[FinishedRun]

    @property
    def cells(self) -> list[Cell]:
        """Every cell that has runs."""
        return [cell for row in self.rows for cell in row.cells.values()]

    @property
    def fractions(self) -> list[float]:
        """The columns, from the full data down."""
        return sorted({fraction for row in self.rows for fraction in row.cells}, reverse=True)


def build_tables(outputs: Outputs) -> list[Table]:
    """Returns a table for each dataset and model that has a finished run, in alphabetical order."""
    subjects = group_by(outputs.finished, _subject)
    return [_build_table(subject, subjects[subject], outputs) for subject in sorted(subjects)]


def _build_table(subject: Subject, runs: list[FinishedRun], outputs: Outputs) -> Table:
    place = f"/{subject.dataset}/{subject.model}/"  # An unfinished run is known by its directory alone.
    return Table(
        subject,
        rows=compare_rows(_build_rows(runs)),
        unfinished=[directory for directory in outputs.unfinished if place in f"/{directory}"],
        repeats=[run for run in outputs.repeats if _subject(run) == subject],
    )


def _build_rows(runs: list[FinishedRun]) -> list[Row]:
    protocols = group_by(runs, lambda run: same_protocol(run.record)).values()
    groups = [group for protocol in protocols for group in _by_data(protocol)]
    records = [_shared(group) for group in groups]
    rows = map(Row, row_names(records), records, map(_build_cells, groups))
    return sorted(rows, key=lambda row: (*row_place(row.record), row.name))


def _by_data(runs: list[FinishedRun]) -> list[list[FinishedRun]]:
    """Separates runs that saw other images under the same name; one that failed before it saw any is no reason to."""
    seen = {run.record.setting.data for run in runs} - {None}
    return list(group_by(runs, lambda run: run.record.setting.data).values()) if len(seen) > 1 else [runs]


def _shared(runs: list[FinishedRun]) -> Record:
    """Returns one run's record with the overrides that all have; another cannot have changed the result."""
    first, *others = (run.record for run in runs)
    overrides = {
        key: value
        for key, value in first.run.overrides.items()
        if all(key in other.run.overrides and other.run.overrides[key] == value for other in others)
    }
    return replace(first, run=replace(first.run, overrides=overrides))


def _build_cells(runs: list[FinishedRun]) -> dict[float, Cell]:
    ordered = sorted(runs, key=lambda run: (-run.record.run.fraction, run.record.run.seed))
    fractions = group_by(ordered, lambda run: run.record.run.fraction)
    return {fraction: _build_cell(members) for fraction, members in fractions.items()}


def _build_cell(runs: list[FinishedRun]) -> Cell:
    statuses = group_by(runs, lambda run: run.record.status)
    return Cell(done=tuple(statuses.get(DONE, ())), failed=tuple(statuses.get(FAILED, ())))


def _subject(run: FinishedRun) -> Subject:
    return Subject(run.record.run.dataset, run.record.run.model)
