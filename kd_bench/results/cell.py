"""One number of a table, with all that stands behind it."""

from dataclasses import dataclass
from functools import cached_property

from kd_bench.results.outputs import FinishedRun
from kd_bench.results.statistics import mean, standard_deviation

SIGNIFICANCE = 0.05
BETTER, WORSE, MISSING = "*", "†", "\N{EN DASH}"


@dataclass(frozen=True)
class Cell:
    """The runs of one row at one fraction, by seed. `gain` and `p_value` compare it with the Student's cell."""

    done: tuple[FinishedRun, ...]
    failed: tuple[FinishedRun, ...] = ()
    gain: float | None = None
    p_value: float | None = None

    @cached_property
    def accuracies(self) -> tuple[float, ...]:
        """The last epochs' test accuracies, in [0, 1], a run each."""
        scores = (run.record.scores.last_accuracy for run in self.done)
        return tuple(accuracy for accuracy in scores if accuracy is not None)

    @cached_property
    def mean(self) -> float | None:
        """Their mean, None if no run is done."""
        return mean(self.accuracies) if self.done else None

    @cached_property
    def deviation(self) -> float | None:
        """Their sample standard deviation, None for fewer than two."""
        return standard_deviation(self.accuracies)

    @property
    def mark(self) -> str:
        """Whether it is significantly better or worse than the Student's."""
        if self.gain is None or self.p_value is None or self.p_value >= SIGNIFICANCE:
            return ""
        return BETTER if self.gain > 0 else WORSE


def cell_text(cell: Cell | None) -> str:
    """Returns what the table shows, e.g. `97.31 ± 0.42 (3)*, 1 failed`."""
    if cell is None or not (cell.done or cell.failed):
        return MISSING
    if cell.mean is None:
        return f"failed ({len(cell.failed)})"
    spread = "" if cell.deviation is None else f" ± {100 * cell.deviation:.2f}"
    failed = f", {len(cell.failed)} failed" if cell.failed else ""
    return f"{100 * cell.mean:.2f}{spread} ({len(cell.done)}){cell.mark}{failed}"
