"""One row of a table: one method with one set of hyper-parameters."""

from dataclasses import dataclass

from kd_bench.results.cell import Cell
from kd_bench.runs.record import Record


@dataclass(frozen=True)
class Row:
    """Runs that differ in fraction and seed alone; `record` is one of theirs, to read what they share."""

    name: str
    record: Record
    cells: dict[float, Cell]

    @property
    def steps(self) -> dict[str, int]:
        """Training steps of each stage, at the largest fraction that has a run done."""
        done = (self.cells[fraction].done for fraction in sorted(self.cells, reverse=True))
        return next((runs[0].record.cost.steps or {} for runs in done if runs), {})
