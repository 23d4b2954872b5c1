"""The views of tables, and lists of runs, as text."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import starmap
from typing import Any

import pandas as pd

from kd_bench.errors import BenchError
from kd_bench.results.caption import caption_lines, gains_caption_lines, paper_caption
from kd_bench.results.columns import cell_values, column_lines, column_values, fraction_columns, row_texts, score_texts
from kd_bench.results.rows import TEACHER, setting_text
from kd_bench.results.table import CELL, Table
from kd_bench.results.text import (
    COUNTS,
    MISSING,
    RANK,
    STEPS,
    Grid,
    Style,
    bold,
    cell_text,
    frame_grid,
    grid_text,
    plain,
    render_frame,
    section,
)
from kd_bench.runs.record import DONE

_RUN_COLUMNS = [
    *("source", "folder", "status", "label", "variant", "fraction", "validation", "seed", "last_accuracy"),
    *("teacher_accuracy", "steps", "seconds", "revision", "reason"),
]
"""The columns in Markdown and LaTeX lists of runs; CSV and JSON have all columns."""
_PLAIN = Style()


def render_tables(
    tables: Sequence[Table],
    output_format: str,
    gains: bool = False,
    columns: Sequence[str] = (),
    style: Style = _PLAIN,
) -> str:
    """Returns the tables of accuracies, or of gains, in one of `FORMATS`; CSV and JSON have an entry per cell.

    Args:
        tables: The tables.
        output_format: One of `FORMATS`.
        gains: Whether the cells are gains.
        columns: Columns of `columns.COLUMNS` that tables of accuracies get after the others.
        style: How tables are printed.

    Raises:
        BenchError: The style names a row that is in no table.
    """
    _check_names(tables, style)
    if output_format in ("csv", "json"):
        return render_frame(pd.concat([_entries(table, columns) for table in tables]), output_format)
    return "\n\n".join(_section(table, output_format, gains, columns, style) for table in tables)


def _check_names(tables: Sequence[Table], style: Style) -> None:
    known = dict.fromkeys(row.name for table in tables for row in table.rows)
    for name in style.names:
        if name not in known:
            raise BenchError(f"--names {name}: no row has this name; there are: {', '.join(known)}")


def render_runs(runs: pd.DataFrame, output_format: str) -> str:
    """Returns every run in one of `FORMATS`, one line or entry per run."""
    if output_format in ("csv", "json"):
        return render_frame(runs, output_format)
    shown = runs[_RUN_COLUMNS].astype(object)
    shown["variant"] = [", ".join(starmap(setting_text, variant.items())) for variant in shown["variant"]]
    return grid_text(
        list(map(str, shown)), [[plain(value) for value in run] for run in shown.itertuples(index=False)], output_format
    )


def gain_text(cell: Any, counts: bool = True) -> str:
    """Returns the text of a cell in the table of gains, e.g. `+1.20 [+0.50, +1.90] (3)`, with or without `(3)`."""
    if pd.isna(cell["gain"]):
        return MISSING
    low, high = 100 * cell["gain_low"], 100 * cell["gain_high"]
    interval = "" if pd.isna(low) else f" [{low:+z.2f}, {high:+z.2f}]"
    count = f" ({cell['n']})" if counts else ""
    return f"{100 * cell['gain']:+z.2f}{interval}{count}"


def steps_texts(table: Table) -> pd.Series:
    """Returns the training steps of each stage, such as `1560+5850`, by row and fraction."""
    done = table.runs[table.runs["status"] == DONE].drop_duplicates(CELL).set_index(CELL)
    return done["steps_by_stage"].map(lambda steps: "+".join(map(str, steps.values())))


def grid(table: Table, gains: bool = False, columns: Sequence[str] = (), style: Style = _PLAIN) -> Grid:
    """Returns the header and the lines of a table, as texts."""
    text = gain_text if gains else cell_text
    counts = COUNTS not in style.without
    cells = table.cells.assign(text=[text(cell, counts) for cell in table.cells.to_dict("records")])
    if style.bold_best and not gains:
        cells["text"] = cells["text"].mask(_is_best(table), cells["text"].map(bold))
    body = table.shaped(cells.set_index(CELL)["text"])
    if gains:
        body = body[(body.fillna(MISSING) != MISSING).any(axis=1)]
    else:
        if table.ranks and RANK not in style.without:
            body["Rank"] = [_rank_text(table.ranks.get(name)) for name in table.names]
        if STEPS not in style.without:
            body = body.join(fraction_columns(steps_texts(table), "Steps"))
        body = body.join(row_texts(column_values(table, columns)))
    return frame_grid(body, style.names)


def _is_best(table: Table) -> pd.Series:
    """Returns which cells have the best accuracy of their column, as it is printed. The teacher does not compete."""
    teachers = [row.name for row in table.rows if row.label == TEACHER]
    printed = table.cells["mean"].where(~table.cells["row"].isin(teachers)).mul(100).round(2)
    return printed.eq(printed.groupby(table.cells["fraction"]).transform("max"))


def score_grids(table: Table) -> dict[str, Grid]:
    """Returns a header and lines, as of `grid`, for each score and cost that the table's runs have."""
    return {title: frame_grid(table.shaped(texts)) for title, texts in score_texts(table).items()}


def captions(table: Table, gains: bool, columns: Sequence[str]) -> list[str]:
    """Returns the paragraphs below a table. For the arguments see `render_tables`."""
    return gains_caption_lines(table) if gains else [*caption_lines(table), *column_lines(table, columns)]


def _rank_text(rank: tuple[float, int] | None) -> str:
    return MISSING if rank is None else f"{rank[0]:.1f} ({rank[1]})"


def _section(table: Table, output_format: str, gains: bool, columns: Sequence[str], style: Style) -> str:
    view = "gains" if gains else "accuracy"
    subject = f"{table.dataset}, {table.model}"
    lines = captions(table, gains, columns)
    if output_format == "latex":
        style = replace(style, bold_best=True)
        lines = lines if gains else [paper_caption(table, COUNTS not in style.without), *lines]
    return section(subject, view, [grid(table, gains, columns, style)], lines, output_format)


def _entries(table: Table, columns: Sequence[str]) -> pd.DataFrame:
    entries = table.cells.assign(rank=table.cells["row"].map({name: rank for name, (rank, _) in table.ranks.items()}))
    entries.insert(0, "dataset", table.dataset)
    entries.insert(1, "model", table.model)
    return entries.join(cell_values(column_values(table, columns)).convert_dtypes(), on=CELL)
