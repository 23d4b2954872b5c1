"""Tables and lists of runs as text: Markdown and LaTeX for people, CSV and JSON for programs."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

from kd_bench.results.caption import caption_lines, gains_caption_lines
from kd_bench.results.columns import cell_values, column_lines, column_values, fraction_columns, row_texts
from kd_bench.results.table import CELL, WORSE, Table, fraction_name, mark
from kd_bench.runs.record import DONE

FORMATS = ("markdown", "csv", "latex", "json")
MISSING = "\N{EN DASH}"

_LATEX_SYMBOLS = str.maketrans({"±": r"$\pm$", WORSE: r"$^\dagger$", MISSING: "--", "≤": r"$\le$", "·": r"$\cdot$"})
_RUN_COLUMNS = [
    *("source", "folder", "status", "label", "fraction", "validation", "seed", "last_accuracy", "teacher_accuracy"),
    *("steps", "seconds", "revision", "reason"),
]
"""The columns in Markdown and LaTeX lists of runs; CSV and JSON have all columns."""


def render_tables(tables: list[Table], form: str, gains: bool = False, columns: Sequence[str] = ()) -> str:
    """Returns the tables of accuracies, or of gains, in one of `FORMATS`; CSV and JSON have an entry per cell.

    Args:
        tables: The tables.
        form: One of `FORMATS`.
        gains: Whether the cells are gains.
        columns: Columns of `columns.COLUMNS` that tables of accuracies get after the others.
    """
    if form in ("csv", "json"):
        return _render_frame(pd.concat([_entries(table, columns) for table in tables]), form)
    render = _markdown_table if form == "markdown" else _latex_table
    return "\n\n".join(render(table, gains, columns) for table in tables)


def render_runs(runs: pd.DataFrame, form: str) -> str:
    """Returns every run in one of `FORMATS`, one line or entry per run."""
    if form in ("csv", "json"):
        return _render_frame(runs, form)
    shown = runs[_RUN_COLUMNS].astype(object)
    return _grid(
        list(map(str, shown)), [[plain(value) for value in run] for run in shown.itertuples(index=False)], form
    )


def cell_text(cell: Any) -> str:
    """Returns the text of a cell in the table, e.g. `97.31 ± 0.42 (3)*, 1 failed`."""
    if cell["n"] == 0:
        return f"failed ({cell['failed']})"
    spread = "" if pd.isna(cell["sd"]) else f" ± {100 * cell['sd']:.2f}"
    failed = f", {cell['failed']} failed" if cell["failed"] else ""
    return f"{100 * cell['mean']:.2f}{spread} ({cell['n']}){mark(cell)}{failed}"


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


def grid(table: Table, gains: bool = False, columns: Sequence[str] = ()) -> tuple[list[str], list[list[str]]]:
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


def captions(table: Table, gains: bool, columns: Sequence[str]) -> list[str]:
    """Returns the paragraphs below a table. For the arguments see `render_tables`."""
    return gains_caption_lines(table) if gains else [*caption_lines(table), *column_lines(table, columns)]


def plain(value: Any) -> str:
    """Returns a value as text on one line; an empty text for a missing value."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return ";".join(map(str, value))
    return "" if pd.isna(value) else " ".join(str(value).split())


def _rank_text(rank: tuple[float, int] | None) -> str:
    return MISSING if rank is None else f"{rank[0]:.1f} ({rank[1]})"


def _markdown_table(table: Table, gains: bool, columns: Sequence[str]) -> str:
    head = [f"### {table.dataset}, {table.model}", _grid(*grid(table, gains, columns), "markdown")]
    return "\n\n".join([*head, *captions(table, gains, columns)])


def _latex_table(table: Table, gains: bool, columns: Sequence[str]) -> str:
    """Returns a LaTeX table; it needs the package booktabs."""
    caption = " ".join([f"{table.dataset}, {table.model}.", *captions(table, gains, columns)])
    kind = "gains" if gains else "accuracy"
    label = re.sub(r"[^a-z0-9]+", "-", f"{kind}-{table.dataset}-{table.model}".lower())
    body = [r"\begin{table}", r"\centering", rf"\caption{{{_latex_text(caption)}}}", rf"\label{{tab:{label}}}"]
    return "\n".join([*body, _grid(*grid(table, gains, columns), "latex"), r"\end{table}"])


_LATEX_ESCAPES = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    symbol: f"\\{symbol}" for symbol in "&%$#_{}"
}


def _latex_text(text: str) -> str:
    """Returns the text for LaTeX; text between backquotes is set in typewriter font."""
    escaped = "".join(_LATEX_ESCAPES.get(letter, letter) for letter in text).translate(_LATEX_SYMBOLS)
    return re.sub(r"`([^`]*)`", r"\\texttt{\1}", escaped)


def _grid(header: list[str], lines: list[list[str]], form: str) -> str:
    if form == "markdown":
        escaped = [[text.replace("|", r"\|") for text in line] for line in lines]
        return tabulate(escaped, header, tablefmt="github", disable_numparse=True)
    return tabulate(lines, header, tablefmt="latex_booktabs", disable_numparse=True).translate(_LATEX_SYMBOLS)


def _entries(table: Table, columns: Sequence[str]) -> pd.DataFrame:
    entries = table.cells.assign(rank=table.cells["row"].map({name: rank for name, (rank, _) in table.ranks.items()}))
    entries.insert(0, "dataset", table.dataset)
    entries.insert(1, "model", table.model)
    return entries.join(cell_values(column_values(table, columns)).convert_dtypes(), on=CELL)


def _render_frame(frame: pd.DataFrame, form: str) -> str:
    if form == "csv":
        return frame.map(_csv_value).to_csv(index=False, lineterminator="\n").rstrip("\n")
    entries = [{key: _json_value(value) for key, value in entry.items()} for entry in frame.to_dict("records")]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def _csv_value(value: Any) -> Any:
    """Returns a value as written in a CSV file: numbers as they are, lists joined by semicolons, dicts as JSON."""
    return value if isinstance(value, float) else plain(value)


def _json_value(value: Any) -> Any:
    """Returns a value for JSON; missing numbers become null."""
    return value if isinstance(value, list | dict) or not pd.isna(value) else None
