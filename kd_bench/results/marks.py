"""The lines below a table about its marks: how cells were compared, and which were not, and why."""

from collections.abc import Iterator

import pandas as pd

from kd_bench.results.rows import TEACHER, Row
from kd_bench.results.significance import LEVEL, OUTLIER_RATIO
from kd_bench.results.table import BETTER, WORSE, Table, fraction_name


def mark_lines(table: Table) -> list[str]:
    """Returns the explanation of the marks, what was compared across code, and what was not compared."""
    return [*_test(table), *_reproduced(table), *_not_compared(table)]


def _test(table: Table) -> list[str]:
    if table.cells["test"].isna().all():
        return []
    lines = [
        f"`{BETTER}` better, `{WORSE}` worse than the {table.reference} with the same settings: two-sided Dunnett's "
        f"test per column over all rows with two seeds or more, which takes seeds as independent; nominally, a column "
        f"has a false mark with a probability of {100 * LEVEL:g} %."
    ]
    outliers = table.cells[table.cells["test"] == "welch"]
    if len(outliers):
        lines.append(
            f"Tested alone, because a standard deviation is more than {OUTLIER_RATIO:g} times the column's median: "
            f"{_cell_names(outliers)}; by Welch's test, with an equal part of the {100 * LEVEL:g} %."
        )
    return [" ".join(lines)]


def _reproduced(table: Table) -> list[str]:
    """Names the rows in which runs of different code are together, because they reproduce each other."""
    rows = [f"{row.name} (seeds {', '.join(map(str, row.reproduced))})" for row in table.rows if row.reproduced]
    if not rows:
        return []
    return [f"Runs of different code are one row because their predictions are identical: {'; '.join(rows)}."]


def _not_compared(table: Table) -> list[str]:
    """Returns a sentence for each reason for which cells with an accuracy are not compared."""
    cells = table.cells[table.cells["n"] > 0]
    compared = [row for row in table.rows if row.label != TEACHER and not _is_reference(row, table)]
    missing: dict[str, list[pd.DataFrame]] = {}
    for row in compared:
        untested = cells[(cells["row"] == row.name) & cells["test"].isna()]
        for reason, part in _reasons(row, untested, cells, table):
            missing.setdefault(reason, []).append(part)
    parts = {reason: pd.concat(found) for reason, found in missing.items()}
    return [f"Not compared, because {reason}: {_cell_names(part)}." for reason, part in parts.items() if len(part)]


def _cell_names(cells: pd.DataFrame) -> str:
    """Returns text such as `AT, AB at 50 %, 10 %; CO at Full`."""
    rows: dict[tuple[float, ...], list[str]] = {}
    for row, fractions in cells.groupby("row", sort=False)["fraction"].agg(tuple).items():
        rows.setdefault(fractions, []).append(str(row))
    return "; ".join(
        f"{', '.join(names)} at {', '.join(map(fraction_name, fractions))}" for fractions, names in rows.items()
    )


def _is_reference(row: Row, table: Table) -> bool:
    return table.reference in (row.name, row.label) and not table.references[row.name]


def _reasons(row: Row, untested: pd.DataFrame, cells: pd.DataFrame, table: Table) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yields why cells of a row have no test, and these cells."""
    references = table.references[row.name]
    if len(references) == 1:
        seeds = cells[cells["row"] == references[0]].set_index("fraction")["n"]
        base = untested["fraction"].map(seeds).fillna(0)
        yield f"the {table.reference} has no run there", untested[base == 0]
        too_few = (base > 0) & ((untested["n"] <= 1) | (base <= 1))
        yield f"a test needs two seeds of a row and of the {table.reference}", untested[too_few]
        yield "all accuracies are equal", untested[(base > 0) & ~too_few]
    elif references:
        yield (
            f"the rows {', '.join(references)} have other code and other predictions; --reference takes one of them",
            untested,
        )
    else:
        yield f"no {table.reference} has the same settings", untested
