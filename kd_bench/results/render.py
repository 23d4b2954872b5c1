"""Tables and lists of runs as text: Markdown and LaTeX for people, CSV and JSON for programs."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from kd_bench.results.caption import caption_lines
from kd_bench.results.cell import MISSING, WORSE, cell_text
from kd_bench.results.entries import Entry, cell_entries, run_entries
from kd_bench.results.naming import fraction_name
from kd_bench.results.outputs import Outputs
from kd_bench.results.row import Row
from kd_bench.results.table import Table

FORMATS = ("markdown", "csv", "latex", "json")

_LATEX_SYMBOLS = str.maketrans({"±": r"$\pm$", WORSE: r"$^\dagger$", MISSING: "--"})


def render_tables(tables: list[Table], form: str) -> str:
    """Returns the tables in one of `FORMATS`; CSV and JSON have an entry a cell."""
    if form in ("csv", "json"):
        return _render_entries(cell_entries(tables), form)
    render = _markdown_table if form == "markdown" else _latex_table
    return "\n\n".join(map(render, tables))


def render_runs(outputs: Outputs, form: str) -> str:
    """Returns every run in one of `FORMATS`, a line or entry each."""
    entries = run_entries(outputs)
    if form in ("csv", "json"):
        return _render_entries(entries, form)
    header = list(entries[0]) if entries else []
    return _grid(header, [[_plain(value) for value in entry.values()] for entry in entries], form)


def _markdown_table(table: Table) -> str:
    grid = _grid(_header(table), [_row_texts(row, table.fractions) for row in table.rows], "markdown")
    return "\n\n".join([f"### {', '.join(table.subject)}", grid, *caption_lines(table)])


def _latex_table(table: Table) -> str:
    grid = _grid(_header(table), [_row_texts(row, table.fractions) for row in table.rows], "latex")
    return "\n".join([f"% {line}" for line in (", ".join(table.subject), *caption_lines(table))] + [grid])


def _header(table: Table) -> list[str]:
    return ["Method", *map(fraction_name, table.fractions), "Steps"]


def _row_texts(row: Row, fractions: Sequence[float]) -> list[str]:
    steps = "+".join(map(str, row.steps.values())) or MISSING
    return [row.name, *(cell_text(row.cells.get(fraction)) for fraction in fractions), steps]


def _grid(header: list[str], rows: list[list[str]], form: str) -> str:
    if form == "markdown":
        escaped = [[text.replace("|", r"\|") for text in row] for row in rows]
        return tabulate(escaped, header, tablefmt="github", disable_numparse=True)
    text = tabulate(rows, header, tablefmt="latex_booktabs", disable_numparse=True)
    return text.translate(_LATEX_SYMBOLS)


def _render_entries(entries: list[Entry], form: str) -> str:
    if form == "json":
        return json.dumps(entries, indent=2, ensure_ascii=False)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(entries[0]) if entries else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in entry.items()} for entry in entries)
    return stream.getvalue().rstrip("\n")


def _plain(value: Any) -> str:
    """Returns a value as it stands in a line of text: a list joined by semicolons, nothing for null."""
    if isinstance(value, list):
        return ";".join(map(str, value))
    return "" if value is None else " ".join(str(value).split())
