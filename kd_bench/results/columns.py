"""Optional columns of a table: what the networks of its rows cost, and what was measured of their exports."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from kd_bench.installation import program
from kd_bench.results.sources import read_run_exports
from kd_bench.results.table import CELL, Table
from kd_bench.runs.exports import ARTEFACTS, Export

COLUMNS = ("parameters", "multiply_adds", "size", "latency")
"""The names by which columns are chosen."""

_MEASURED: dict[str, tuple[str, Callable[[Export], float]]] = {
    "size": ("size_bytes", lambda export: export.size_bytes),
    "latency": ("latency_ms", lambda export: export.latency_ms),
}
"""What `size` and `latency` show: the name in CSV and JSON, and the value. There is a column for each format."""

_SHOWN: dict[str, tuple[str, Callable[[float], str]]] = {
    "parameters": ("Parameters", lambda count: f"{count:,.0f}"),
    "multiply_adds": ("Multiply-adds", lambda count: f"{count:,.0f}"),
    **{f"size_bytes_{form}": (f"Size, kB ({form})", lambda size: f"{size / 1000:,.1f}") for form in ARTEFACTS},
    **{f"latency_ms_{form}": (f"Latency, ms ({form})", lambda time: f"{time:,.3f}") for form in ARTEFACTS},
}
"""The header of each column in Markdown and LaTeX, and how its values are written."""


def column_values(table: Table, names: Sequence[str]) -> pd.DataFrame:
    """Returns the chosen columns: one line per finished run of the table, with its row and fraction.

    Args:
        table: The table.
        names: Of `COLUMNS`. Size and latency are a column for each format to which a run of the table was exported.

    Raises:
        DamageError: A file with measurements cannot be read.
    """
    runs = table.runs.reset_index(drop=True)
    exports = _exports(runs) if set(names) & set(_MEASURED) else []
    columns = {name: _values(runs, exports, name) for name in names}
    return pd.concat([runs[CELL], *columns.values()], axis=1)


def row_texts(values: pd.DataFrame) -> pd.DataFrame:
    """Returns the texts of columns, from the medians over each row's runs; missing where no run has a value."""
    medians = values.drop(columns="fraction").groupby("row").median()
    shown = [(medians[name], *_SHOWN[str(name)]) for name in medians]
    texts = {header: [None if pd.isna(value) else text(value) for value in column] for column, header, text in shown}
    return pd.DataFrame(texts, index=medians.index, dtype=object)


def column_lines(table: Table, names: Sequence[str]) -> list[str]:
    """Returns the explanations of chosen columns, for the caption."""
    if not names:
        return []
    line = f"{', '.join(names)}: the median over the runs of a row".replace("_", "-").capitalize()
    if not set(names) & set(_MEASURED):
        return [f"{line}."]
    exports = [export for run in _exports(table.runs) for export in run]
    if not exports:
        return [f"{line}. None of these runs was exported: {program('export')} RUN measures size and latency."]
    processors = "; ".join(sorted({export.processor or "an unknown processor" for export in exports}))
    return [
        f"{line}. Size and latency are of exported networks; latency is of single images on one thread of {processors}."
    ]


def _exports(runs: pd.DataFrame) -> list[list[Export]]:
    places = zip(runs["source"], runs["folder"], strict=True)
    return [read_run_exports(Path(source), folder) for source, folder in places]


def _values(runs: pd.DataFrame, exports: Sequence[Sequence[Export]], name: str) -> pd.DataFrame:
    """Returns the values of a chosen column, which can be several, of each run."""
    if name not in _MEASURED:
        return runs[[name]].astype("float64")
    prefix, value = _MEASURED[name]
    found = [{f"{prefix}_{export.format}": value(export) for export in run} for run in exports]
    there = {key for run in found for key in run}
    return pd.DataFrame(found, index=runs.index, columns=[key for key in _SHOWN if key in there], dtype="float64")
