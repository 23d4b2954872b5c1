"""The views of tables, and lists of runs, as text."""

from collections.abc import Sequence
from itertools import starmap
from typing import Any

import pandas as pd

from kd_bench.results.caption import caption_lines, gains_caption_lines
from kd_bench.results.columns import cell_values, column_lines, column_values, fraction_columns, row_texts, score_views
from kd_bench.results.rows import setting_text
from kd_bench.results.table import CELL, Table, fraction_name
from kd_bench.results.text import MISSING, Grid, cell_text, grid_text, plain, render_frame, section
from kd_bench.runs.record import DONE

_RUN_COLUMNS = [
    *("source", "folder", "status", "label", "variant", "fraction", "validation", "seed", "last_accuracy"),
    *("teacher_accuracy", "steps", "seconds", "revision", "reason"),
]
"""The columns in Markdown and LaTeX lists of runs; CSV and JSON have all columns."""


def render_tables(tables: Sequence[Table], output_format: str, gains: bool = False, columns: Sequence[str] = ()) -> str:
    """Returns the tables of accuracies, or of gains, in one of `FORMATS`; CSV and JSON have an entry per cell.

    Args:
        tables: The tables.
        output_format: One of `FORMATS`.
        gains: Whether the cells are gains.
        columns: Columns of `columns.COLUMNS` that tables of accuracies get after the others.
    """
    if output_format in ("csv", "json"):
        return render_frame(pd.concat([_entries(table, columns) for table in tables]), output_format)
    return "\n\n".join(_section(table, output_format, gains, columns) for table in tables)


def render_runs(runs: pd.DataFrame, output_format: str) -> str:
    """Returns every run in one of `FORMATS`, one line or entry per run."""
    if output_format in ("csv", "json"):
        return render_frame(runs, output_format)
    shown = runs[_RUN_COLUMNS].astype(object)
    shown["variant"] = [", ".join(starmap(setting_text, variant.items())) for variant in shown["variant"]]
    return grid_text(
        list(map(str, shown)), [[plain(value) for value in run] for run in shown.itertuples(index=False)], output_format
    )


def gain_text(cell: Any) -> str:
    """Returns the text of a cell in the table of gains, e.g. `+1.20 [+0.50, +1.90] (3)`."""
    if pd.isna(cell["gain"]):
        return MISSING
    interval = "" if pd.isna(cell["gain_low"]) else f" [{100 * cell['gain_low']:+.2f}, {100 * cell['gain_high']:+.2f}]"
    return f"{100 * cell['gain']:+.2f}{interval} ({cell['n']})"


def steps_texts(table: Table) -> pd.Series:
    """Returns the training steps of each stage, such as `1560+5850`, by row and fraction."""
    done = table.runs[table.runs["status"] == DONE].drop_duplicates(CELL).set_index(CELL)
    return done["steps_by_stage"].map(lambda steps: "+".join(map(str, steps.values())))


def grid(table: Table, gains: bool = False, columns: Sequence[str] = ()) -> Grid:
    """Returns the header and the lines of a table, as texts."""
    text = gain_text if gains else cell_text
    texts = table.cells.assign(text=[text(cell) for cell in table.cells.to_dict("records")])
    names = [row.name for row in table.rows]
    body = texts.pivot(index="row", columns="fraction", values="text").reindex(index=names, columns=table.fractions)
    body.columns = pd.Index(map(fraction_name, table.fractions))
    if gains:
        body = body[(body.fillna(MISSING) != MISSING).any(axis=1)]
    else:
        if table.ranks:
            body["Rank"] = [_rank_text(table.ranks.get(name)) for name in names]
        body = body.join(fraction_columns(steps_texts(table), "Steps"))
        body = body.join(row_texts(column_values(table, columns)))
    return ["Method", *body], [[name, *cells] for name, *cells in body.fillna(MISSING).itertuples()]


def score_grids(table: Table) -> dict[str, Grid]:
    """Returns a header and lines, as of `grid`, for each score and cost that the table's runs have."""
    views = {}
    names, header = [row.name for row in table.rows], ["Method", *map(fraction_name, table.fractions)]
    for title, texts in score_views(table).items():
        body = texts.reindex(index=names, columns=table.fractions).fillna(MISSING)
        views[title] = (header, [[str(name), *cells] for name, *cells in body.itertuples()])
    return views


def captions(table: Table, gains: bool, columns: Sequence[str]) -> list[str]:
    """Returns the paragraphs below a table. For the arguments see `render_tables`."""
    return gains_caption_lines(table) if gains else [*caption_lines(table), *column_lines(table, columns)]


def _rank_text(rank: tuple[float, int] | None) -> str:
    return MISSING if rank is None else f"{rank[0]:.1f} ({rank[1]})"


def _section(table: Table, output_format: str, gains: bool, columns: Sequence[str]) -> str:
    view = "gains" if gains else "accuracy"
    subject = f"{table.dataset}, {table.model}"
    return section(subject, view, [grid(table, gains, columns)], captions(table, gains, columns), output_format)


def _entries(table: Table, columns: Sequence[str]) -> pd.DataFrame:
    entries = table.cells.assign(rank=table.cells["row"].map({name: rank for name, (rank, _) in table.ranks.items()}))
    entries.insert(0, "dataset", table.dataset)
    entries.insert(1, "model", table.model)
    return entries.join(cell_values(column_values(table, columns)).convert_dtypes(), on=CELL)
