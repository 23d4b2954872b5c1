"""The lines below a table about its marks: how cells were compared, and which were not, and why."""

from collections.abc import Iterator

import pandas as pd

from kd_bench.results.rows import TEACHER, Row
from kd_bench.results.significance import LEVEL, OUT_OF_LINE
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
    apart = table.cells[table.cells["test"] == "welch"]
    if len(apart):
        lines.append(
            f"Tested alone, because a standard deviation is more than {OUT_OF_LINE:g} times the column's median: "
            f"{_places(apart)}; by Welch's test, with an equal part of the {100 * LEVEL:g} %."
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
        own = cells[(cells["row"] == row.name) & cells["test"].isna()]
        for reason, part in _reasons(row, own, cells, table):
            missing.setdefault(reason, []).append(part)
    parts = {reason: pd.concat(found) for reason, found in missing.items()}
    return [f"Not compared, because {reason}: {_places(part)}." for reason, part in parts.items() if len(part)]


def _places(cells: pd.DataFrame) -> str:
    """Returns text such as `AT, AB at 50 %, 10 %; CO at Full`."""
    rows: dict[tuple[float, ...], list[str]] = {}
    for row, fractions in cells.groupby("row", sort=False)["fraction"].agg(tuple).items():
        rows.setdefault(fractions, []).append(str(row))
    return "; ".join(f"{', '.join(names)} at {', '.join(map(fraction_name, at))}" for at, names in rows.items())


def _is_reference(row: Row, table: Table) -> bool:
    return table.reference in (row.name, row.label) and not table.references[row.name]


def _reasons(row: Row, own: pd.DataFrame, cells: pd.DataFrame, table: Table) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yields why cells of a row have no test, and these cells."""
    found = table.references[row.name]
    if len(found) == 1:
        seeds = cells[cells["row"] == found[0]].set_index("fraction")["n"]
        base = own["fraction"].map(seeds).fillna(0)
        yield f"the {table.reference} has no run there", own[base == 0]
        few = (base > 0) & ((own["n"] <= 1) | (base <= 1))
        yield f"a test needs two seeds of a row and of the {table.reference}", own[few]
        yield "all accuracies are equal", own[(base > 0) & ~few]
    elif found:
        yield f"the rows {', '.join(found)} have other code and other predictions; --reference takes one of them", own
    else:
        yield f"no {table.reference} has the same settings", own
