"""Accuracy over the length and the cost of training, beside a plain student that trains longer.

The student's accuracy over its steps is the curve that each method is held against: what would the student have reached
at the method's cost, and at what cost would it have reached the method's accuracy?
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kd_bench.checks import NonNegative
from kd_bench.documents import read_json
from kd_bench.errors import BenchError
from kd_bench.results.rows import STUDENT, TEACHER, Row, name_row
from kd_bench.results.significance import LEVEL
from kd_bench.results.table import CELL, Table
from kd_bench.runs.record import DONE
from kd_bench.typed import to_dataclass

LENGTH_KEYS = ("epochs", "budget", "evaluate_every")
"""The keys in which runs of different lengths differ."""

StepCosts = Mapping[str, Mapping[str, float]]
"""The cost of a step in each stage of each method, by method and stage, in steps of the plain student."""


@dataclass(frozen=True)
class Curve:
    """The accuracy of the plain student over its length.

    Attributes:
        steps: Increasing.
        means: The mean accuracy at each length.
        deviations: The standard deviation over seeds; NaN for one seed.
        counts: The number of seeds.
    """

    steps: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    counts: np.ndarray

    def accuracy_at(self, cost: float) -> float:
        """Returns the accuracy at a cost in steps, linear in its logarithm; NaN outside the measured lengths."""
        return float(np.interp(math.log(cost), np.log(self.steps), self.means, left=math.nan, right=math.nan))

    def steps_to(self, accuracy: float) -> float:
        """Returns the steps after which the accuracy is first reached: infinity if never, 0 if before the first."""
        above = np.flatnonzero(self.means >= accuracy)
        if not len(above):
            return math.inf
        last = int(above[0])
        if last == 0:
            return 0.0 if self.means[0] > accuracy else float(self.steps[0])
        part = slice(last - 1, last + 1)
        return math.exp(float(np.interp(accuracy, self.means[part], np.log(self.steps[part]))))

    def spread(self, cost: float) -> tuple[float, int]:
        """Returns the standard deviation and the number of seeds at the length that is nearest to a cost."""
        nearest = int(np.abs(np.log(self.steps) - math.log(cost)).argmin())
        return float(self.deviations[nearest]), int(self.counts[nearest])


@dataclass(frozen=True, eq=False)
class Lengths:
    """The lengths of one table at one fraction.

    Attributes:
        cells: One row per method and length: `method`, `length` (steps of the main stage), `cost` (in the student's
            steps), the columns of the table's cells, `rank`, `gain_at_cost` (over the student of this cost), and
            `ratio`, `ratio_low`, `ratio_high`: the student's cost for the same accuracy, divided by the method's.
        curve: The plain student's accuracy.
        is_timed: Whether costs are from measured times of steps; else from multiply-adds.
    """

    table: Table
    fraction: float
    cells: pd.DataFrame
    curve: Curve
    is_timed: bool

    @property
    def method_cells(self) -> pd.DataFrame:
        """The cells of the methods besides the student."""
        return self.cells[self.cells["method"] != STUDENT]

    @property
    def columns(self) -> list[int]:
        """The lengths that a method besides the student has."""
        return sorted(set(self.method_cells["length"]))

    @property
    def methods(self) -> list[str]:
        """The rows, in the order of the table."""
        return list(dict.fromkeys(self.cells["method"]))


def build_lengths(table: Table, costs: StepCosts | None = None) -> list[Lengths]:
    """Returns the lengths at each fraction at which the student and a method were trained for several.

    Args:
        table: A table whose rows include the lengths.
        costs: The measured costs of steps. Without them, costs are the multiply-adds of the whole training.

    Raises:
        BenchError: A run has no count of its multiply-adds, or the measured costs lack one of its stages.
    """
    cells = length_cells(table)
    found = []
    for fraction, part in cells.groupby("fraction", sort=False):
        several = part.groupby("method")["length"].transform("nunique") > 1
        part = part[several]
        if STUDENT in set(part["method"]) and part["method"].nunique() > 1:
            found.append(_lengths(table, float(str(fraction)), part, costs))
    return found


@dataclass(frozen=True)
class _Costs:
    steps: dict[str, dict[str, NonNegative]]


def read_costs(path: Path) -> StepCosts:
    """Reads the costs of steps, which `python -m benchmarks.cost` writes.

    Raises:
        BenchError: The file is not readable, or holds something else.
    """
    try:
        return to_dataclass(_Costs, read_json(path.read_bytes()), ignore_unknown=True).steps
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: holds no costs of steps ({error!r})") from error


def length_cells(table: Table) -> pd.DataFrame:
    """Returns the student's cells and those that are compared with it, with the name and the length of each."""
    done = table.runs[table.runs["status"] == DONE].drop_duplicates(CELL).set_index(CELL)
    stages, work = done["steps_by_stage"], done["training_multiply_adds"]
    rows = {row.name: row for row in table.rows if row.label != TEACHER}
    cells = table.cells[(table.cells["n"] > 0) & table.cells["row"].isin(rows)].set_index(CELL)
    cells = cells.assign(stages=stages, work=work, length=stages.map(lambda steps: [*steps.values()][-1]))
    cells = cells.reset_index()
    names = {name: _method_name(row) for name, row in rows.items()}
    cells = cells.assign(method=cells["row"].map(names), code=[rows[row].facts["method"] for row in cells["row"]])
    compared = (cells["method"] == STUDENT) | (cells["reference"].map(names) == STUDENT)
    # The same length can be reached in two ways, such as epochs of the full set and of a fraction.
    most_seeds = cells[compared].sort_values("n", ascending=False, kind="stable")
    return most_seeds.drop_duplicates(["fraction", "method", "length"]).sort_index()


def _method_name(row: Row) -> str:
    """Returns the row's name without its length."""
    return name_row(row.label, [detail for detail in row.details if detail.partition("=")[0] not in LENGTH_KEYS])


def _lengths(table: Table, fraction: float, cells: pd.DataFrame, costs: StepCosts | None) -> Lengths:
    student = cells[cells["method"] == STUDENT].sort_values("length")
    curve = Curve(*(student[name].to_numpy(dtype=float) for name in ("length", "mean", "sd", "n")))
    cells = cells.assign(cost=_costs(cells, student, costs)).sort_values("length", kind="stable")
    methods = cells[cells["method"] != STUDENT]
    ranks = methods.groupby("length")["mean"].rank(ascending=False)
    comparisons = pd.DataFrame([_comparison(curve, cell) for cell in methods.to_dict("records")], index=methods.index)
    order = {_method_name(row): position for position, row in reversed([*enumerate(table.rows)])}
    cells = cells.join(comparisons).assign(rank=ranks, position=cells["method"].map(order))
    return Lengths(table, fraction, cells.sort_values(["position", "length"], kind="stable"), curve, costs is not None)


def _costs(cells: pd.DataFrame, student: pd.DataFrame, costs: StepCosts | None) -> list[float]:
    if costs is None:
        unit = student["work"].iloc[0] / student["length"].iloc[0] if len(student) else math.nan
        if cells["work"].isna().any():
            rows = ", ".join(dict.fromkeys(cells.loc[cells["work"].isna(), "row"]))
            raise BenchError(f"{rows}: the records hold no multiply-adds of the training; measured costs are needed")
        return [float(work / unit) for work in cells["work"]]
    return [_measured(cell["code"], cell["stages"], costs) for cell in cells.to_dict("records")]


def _measured(method: str, stages: Mapping[str, int], costs: StepCosts) -> float:
    stage_costs = costs.get(method, {})
    missing = [stage for stage in stages if stage not in stage_costs]
    if missing:
        raise BenchError(f"the measured costs of steps lack {method}'s {', '.join(missing)}: measure this pair again")
    return sum(steps * stage_costs[stage] for stage, steps in stages.items())


def _comparison(curve: Curve, cell: Mapping[Any, Any]) -> dict[str, float]:
    """Returns a method's gain over the student of its cost, and the ratio of costs for its accuracy, with interval."""
    accuracy, cost = cell["mean"], cell["cost"]
    half_width = _half_width(curve, cell)
    accuracies = {"ratio": accuracy, "ratio_low": accuracy - half_width, "ratio_high": accuracy + half_width}
    ratios = {
        name: math.nan if math.isnan(value) else curve.steps_to(value) / cost for name, value in accuracies.items()
    }
    return {"gain_at_cost": accuracy - curve.accuracy_at(cost), **ratios}


def _half_width(curve: Curve, cell: Mapping[Any, Any]) -> float:
    """Returns the half-width of the 95 % interval of the difference to the student; NaN for one seed of either.

    Student's t with the seeds of both sides, and the student's deviation at the length nearest to the crossing.
    """
    crossing = curve.steps_to(cell["mean"])
    deviation, count = curve.spread(min(max(crossing, curve.steps[0]), curve.steps[-1]))
    if cell["n"] <= 1 or count <= 1:
        return math.nan
    from scipy.special import stdtrit

    error = math.sqrt(cell["sd"] ** 2 / cell["n"] + deviation**2 / count)
    return float(stdtrit(cell["n"] + count - 2, 1 - LEVEL / 2)) * error
