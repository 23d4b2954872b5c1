"""The report: one HTML page with the tables, their pictures, and the runs behind each cell.

The page needs no network. It holds its data as JSON, and the program that draws its pictures. `report.html`,
`report.css` and `report.js` beside this file are its parts.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
import vl_convert

from kd_bench.results.frame import load_curves, with_hyper_parameters
from kd_bench.results.pictures import PICTURES, specification
from kd_bench.results.render import captions, grid, score_grids
from kd_bench.results.table import CELL, Table
from kd_bench.results.text import plain
from kd_bench.runs.files import make_folder, write_atomically


def write_report(tables: Sequence[Table], path: Path, columns: Sequence[str] = ()) -> None:
    """Writes the page.

    Args:
        tables: The tables, in their order on the page.
        path: The file.
        columns: Columns of `columns.COLUMNS` that the tables of accuracies get after the others.

    Raises:
        StorageError: The file cannot be written.
    """
    page = make_page(tables, columns)
    make_folder(path.parent)
    write_atomically(path, page)


def make_page(tables: Sequence[Table], columns: Sequence[str] = ()) -> str:
    """Returns the page as text, which holds everything that it shows. For the arguments see `write_report`."""
    runs = _runs(tables)
    content = {
        "tables": [_table(table, runs.index, columns) for table in tables],
        "facts": _facts(runs),
        "curves": _curves(runs),
    }
    return Template(_template("html")).substitute(
        style=_template("css"),
        content=_json(content),
        vega=vl_convert.javascript_bundle(),  # type: ignore[call-arg]  # Its stub has no default.
        program=_template("js"),
    )


def _template(ending: str) -> str:
    return Path(__file__).with_suffix(f".{ending}").read_text(encoding="utf-8")


def _json(content: Any) -> str:
    """Returns JSON that an HTML page can hold: without `<`, no text in it ends or changes its element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c")


def _runs(tables: Sequence[Table]) -> pd.DataFrame:
    """Returns the runs of all tables. A run that several tables show, such as a teacher, counts once."""
    runs = pd.concat([table.runs for table in tables])
    return runs[~runs.index.duplicated()].drop(columns="row")


def _table(table: Table, runs: pd.Index, columns: Sequence[str]) -> dict[str, Any]:
    pictures = [draw(table) for draw in PICTURES.values()]
    scores = score_grids(table)
    return {
        "subject": f"{table.dataset}, {table.model}",
        "fractions": table.fractions,
        "views": {
            "Accuracy": _view(table, False, columns),
            f"Gain over the {table.reference}": _view(table, True, ()),
            **{title: {"header": grid[0], "lines": grid[1], "captions": []} for title, grid in scores.items()},
        },
        "runs": _run_positions(table, runs),
        "pictures": [specification(picture) for picture in pictures if picture is not None],
    }


def _view(table: Table, gains: bool, columns: Sequence[str]) -> dict[str, Any]:
    header, lines = grid(table, gains, columns)
    texts = [text.replace("`", "") for text in captions(table, gains, columns)]  # They are Markdown.
    return {"header": header, "lines": lines, "captions": texts}


def _run_positions(table: Table, runs: pd.Index) -> dict[str, list[list[int]]]:
    """Returns the positions in `runs` of each row's runs, a list for each fraction of the table."""
    cells = table.runs.groupby(CELL).groups
    nothing = runs[:0]
    return {
        row.name: [runs.get_indexer(cells.get((row.name, fraction), nothing)).tolist() for fraction in table.fractions]
        for row in table.rows
    }


def _facts(runs: pd.DataFrame) -> dict[str, dict[str, list[Any]]]:
    """Returns each fact and hyper-parameter of the runs: its different values as texts, and the index for each run."""
    facts = {}
    for name, column in with_hyper_parameters(runs).items():
        codes, values = pd.factorize(column.map(plain))
        facts[str(name)] = {"values": values.tolist(), "codes": codes.tolist()}
    return facts


def _curves(runs: pd.DataFrame) -> list[list[tuple[int, float]]]:
    """Returns the points of each run's learning curve: epoch, test accuracy in %."""
    points = load_curves(runs.reset_index(drop=True))
    curves: list[list[tuple[int, float]]] = [[] for _ in range(len(runs))]
    for run, epoch, accuracy in points.itertuples():
        curves[run].append((epoch, round(100 * accuracy, 4)))
    return curves
