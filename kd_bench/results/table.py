"""Makes tables from runs: one table per dataset and model, one row per method, one column per fraction."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from kd_bench.errors import BenchError
from kd_bench.results.frame import OUTPUTS, SAME_TABLE, read_runs, run_paths, tested
from kd_bench.results.rows import STUDENT, Row, build_rows, common_settings, find_references
from kd_bench.results.significance import LEVEL, compare, deviation
from kd_bench.runs.record import DONE

BETTER, WORSE = "*", "†"
CELL = ["row", "fraction"]

Samples = Mapping[tuple[str, float], pd.Series]
"""The accuracies by seed of each row at each fraction."""
References = Mapping[str, Sequence[str]]
"""The names of the rows that each row could be compared with."""


@dataclass(frozen=True, eq=False)
class Table:
    """The results on one dataset and model.

    Attributes:
        reference: The label or the name of the rows that the others are compared with.
        references: The names of the rows that each row, by its name, could be compared with: it is if there is one.
        settings: The differences from their presets that all students share: the rows' names do not repeat them.
        cells: One row per table row and fraction, in the table's order; docs/statistics.md explains the columns.
        ranks: The mean rank of each row that has one, and the number of columns in this mean.
        unfinished: The folders of runs on this dataset and model without a record.
        repeats: The number of runs that were left out, because a newer record of the same run counts.
    """

    dataset: str
    model: str
    reference: str
    references: dict[str, list[str]]
    rows: list[Row]
    settings: dict[str, Any]
    cells: pd.DataFrame
    ranks: dict[str, tuple[float, int]]
    unfinished: list[str]
    repeats: int

    @property
    def fractions(self) -> list[float]:
        """The columns, from the full data to the smallest fraction."""
        return sorted(set(self.cells["fraction"]), reverse=True)

    @property
    def fraction_names(self) -> list[str]:
        """The names of the columns."""
        return list(map(fraction_name, self.fractions))

    @property
    def names(self) -> list[str]:
        """The names of the rows."""
        return [row.name for row in self.rows]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """All finished runs in the table, in the order of its rows."""
        return pd.concat([row.runs.assign(row=row.name) for row in self.rows])

    def shaped(self, texts: pd.Series) -> pd.DataFrame:
        """Returns the texts of cells, by row and fraction, in the shape of the table."""
        shaped = texts.unstack("fraction").reindex(index=self.names, columns=self.fractions)
        return shaped.set_axis(self.fraction_names, axis="columns")


def fraction_name(fraction: float) -> str:
    """Returns a column's name: "Full", "50 %", "12.5 %"."""
    return "Full" if fraction == 1 else f"{100 * fraction:g} %"


def load_tables(*sources: str | Path, reference: str = STUDENT) -> list[Table]:
    """Returns the tables of outputs folders and bundles, for a notebook.

    Args:
        sources: Outputs folders and bundles; `outputs` if none is given.
        reference: The label or the name of the rows to compare with.

    Raises:
        BenchError: A source is missing, or is a bundle that cannot be read at all, or there is no such reference.
    """
    runs = read_runs([Path(source) for source in sources] or [OUTPUTS])
    return build_tables(runs.frame, None, reference, runs.unfinished, runs.repeats)


def build_tables(
    runs: pd.DataFrame,
    shown: pd.Index | None = None,
    reference: str = STUDENT,
    unfinished: Sequence[str] = (),
    repeats: pd.DataFrame | None = None,
) -> list[Table]:
    """Returns a table for each dataset and model, in alphabetical order. Runs with `validation` are in no table.

    Args:
        runs: Finished runs, as `read_runs` returns them.
        shown: The index of the selected runs. A row without any of them is left out of its table, after all rows have
            been compared.
        reference: The label or the name of the rows to compare with.
        unfinished: Folders of runs without a record.
        repeats: Runs that were left out.

    Raises:
        BenchError: No row has the label or the name of the reference.
    """
    runs = tested(runs)
    subjects = {subject: build_rows(_with_teachers(group, runs)) for subject, group in runs.groupby(SAME_TABLE)}
    _check_reference(reference, [row for rows in subjects.values() for row in rows])
    tables = []
    for (dataset, model), rows in subjects.items():
        references = _references(rows, reference)
        cells = _build_cells(rows, references)
        kept = [row for row in rows if shown is None or row.runs.index.isin(shown).any()]
        path_part = f"/{dataset}/{model}/"  # Only the folder of an unfinished run is known.
        table = Table(
            dataset=str(dataset),
            model=str(model),
            reference=reference,
            references=references,
            rows=kept,
            settings=common_settings(rows),
            cells=cells[cells["row"].isin([row.name for row in kept])],
            ranks=_ranks(rows, cells, _references(rows, STUDENT)),
            unfinished=[folder for folder in unfinished if path_part in f"/{folder}"],
            repeats=_count(repeats, dataset, model),
        )
        tables += [table] if kept else []
    return tables


def _check_reference(reference: str, rows: Sequence[Row]) -> None:
    known = {name: None for row in rows for name in (row.label, row.name)}
    if reference != STUDENT and reference not in known:
        raise BenchError(f"reference {reference}: no row has this label or name; there are: {', '.join(known)}")


def _references(rows: Sequence[Row], reference: str) -> dict[str, list[str]]:
    return {row.name: [other.name for other in find_references(row, rows, reference)] for row in rows}


def _with_teachers(group: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Adds the teachers of the table's runs that are recorded under another pair, because pairs share teachers."""
    elsewhere = runs.loc[runs.index.difference(group.index)]
    return pd.concat([group, elsewhere[elsewhere["digest"].isin(group["teacher_digest"].dropna())]])


def _count(runs: pd.DataFrame | None, dataset: Hashable, model: Hashable) -> int:
    if runs is None:
        return 0
    return int(((runs["dataset"] == dataset) & (runs["model"] == model) & (runs["validation"] == 0)).sum())


def mark(cell: Mapping[Any, Any]) -> str:
    """Returns the mark of a cell that is significantly better or worse than its reference; else an empty text."""
    if not cell["p_value"] < LEVEL:
        return ""
    return BETTER if cell["gain"] > 0 else WORSE


def _build_cells(rows: Sequence[Row], references: References) -> pd.DataFrame:
    runs = _ordered_runs(rows)
    done = runs[runs["status"] == DONE]
    samples: Samples = dict(iter(done.set_index("seed").groupby(CELL)["last_accuracy"]))
    parts = [_scores(done), _failures(runs[runs["status"] != DONE]), _comparisons(references, samples)]
    order = pd.MultiIndex.from_frame(runs[CELL].drop_duplicates())
    cells = pd.concat([part.reindex(order) for part in parts], axis=1)
    cells[["n", "failed"]] = cells[["n", "failed"]].fillna(0).astype("Int64")
    for name in ("seeds", "runs", "failed_runs"):
        cells[name] = [value if isinstance(value, list) else [] for value in cells[name]]
    return cells.reset_index()


def _ordered_runs(rows: Sequence[Row]) -> pd.DataFrame:
    """Returns the runs of all cells, in the order of rows, fractions and seeds."""
    runs = pd.concat([row.runs[_CELL_FACTS].assign(row=row.name, position=number) for number, row in enumerate(rows)])
    runs = runs.sort_values(["position", "fraction", "seed"], ascending=[True, False, True], kind="stable")
    return runs.assign(path=run_paths(runs))


_CELL_FACTS = ["source", "folder", "fraction", "seed", "status", "last_accuracy"]


def _scores(done: pd.DataFrame) -> pd.DataFrame:
    cells = done.groupby(CELL)
    return pd.DataFrame(
        {
            "mean": cells["last_accuracy"].mean(),
            "sd": cells["last_accuracy"].agg(_spread),
            "n": cells.size(),
            "seeds": cells["seed"].agg(pd.Series.tolist),
            "runs": cells["path"].agg(list),
        }
    )


def _spread(accuracies: pd.Series) -> float:
    return deviation(accuracies.tolist()) if len(accuracies) > 1 else math.nan


def _failures(failed: pd.DataFrame) -> pd.DataFrame:
    cells = failed.groupby(CELL)
    return pd.DataFrame({"failed": cells.size(), "failed_runs": cells["path"].agg(list)})


def _comparisons(references: References, samples: Samples) -> pd.DataFrame:
    """Returns the comparison of each cell with its reference row, which differs only in the method."""
    compared: dict[tuple[str, float], dict[str, object]] = {}
    for reference, members in _rows_by_reference(references).items():
        for fraction in [fraction for row, fraction in samples if row == reference]:
            column = {name: samples[name, fraction] for name in members if (name, fraction) in samples}
            compared |= {
                (name, fraction): {"reference": reference} | cell
                for name, cell in _column(column, samples[reference, fraction]).items()
            }
    index = pd.MultiIndex.from_tuples(compared, names=CELL)
    return pd.DataFrame(list(compared.values()), index=index, columns=_COMPARED).astype(_NUMBERS)


_NUMBERS = dict.fromkeys(("gain", "gain_low", "gain_high", "p_value"), "float64")
_COMPARED = ["reference", *_NUMBERS, "test"]


def _rows_by_reference(references: References) -> dict[str, list[str]]:
    """Returns the names of the rows that are compared with the same row, by the name of this reference."""
    rows: dict[str, list[str]] = {}
    for name, found in references.items():
        if len(found) == 1:
            rows.setdefault(found[0], []).append(name)
    return rows


def _column(column: Mapping[str, pd.Series], baseline: pd.Series) -> dict[str, dict[str, object]]:
    """Returns the gain of each row of a column, and with two seeds of both sides its interval and test."""
    repeated = {name: values.tolist() for name, values in column.items() if len(values) > 1}
    found = compare(repeated, baseline.tolist()) if repeated and len(baseline) > 1 else {}
    gains: dict[str, dict[str, object]] = {
        name: {"gain": values.mean() - baseline.mean()} for name, values in column.items()
    }
    for name, comparison in found.items():
        gains[name] |= {
            "gain_low": comparison.low,
            "gain_high": comparison.high,
            "p_value": comparison.p_value,
            "test": comparison.test,
        }
    return gains


def _ranks(rows: Sequence[Row], cells: pd.DataFrame, students: References) -> dict[str, tuple[float, int]]:
    """Returns the mean rank by accuracy over the columns of the row's Student (1 is best), and the number of columns.

    Only methods with the hyper-parameters of their preset and with a result in each of these columns are ranked.
    """
    means = cells.pivot(index="row", columns="fraction", values="mean")
    default = {row.name for row in rows if row.has_default_method}
    ranks: dict[str, tuple[float, int]] = {}
    for student, members in _rows_by_reference(students).items():
        columns = [fraction for fraction in means if pd.notna(means[fraction][student])]
        ranked = means[columns].loc[[name for name in members if name in default]].dropna()
        if len(ranked) > 1 and columns:
            mean_ranks = ranked.rank(ascending=False).mean(axis=1)
            ranks |= {str(name): (float(rank), len(columns)) for name, rank in mean_ranks.items()}
    return ranks
