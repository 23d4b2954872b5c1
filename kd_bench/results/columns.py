"""Optional columns of a table: other scores than accuracy, costs, and what was measured of exported networks."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from kd_bench.installation import program
from kd_bench.results.sources import read_run_exports
from kd_bench.results.table import CELL, Table, fraction_name
from kd_bench.runs.exports import ARTEFACTS, Export
from kd_bench.runs.record import DONE

_CELL_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "top5_accuracy": ("Top-5, %", lambda share: f"{100 * share:.2f}"),
    "negative_log_likelihood": ("NLL", lambda nats: f"{nats:.3f}"),
    "calibration_error": ("ECE, %", lambda share: f"{100 * share:.2f}"),
    "agreement": ("Agreement, %", lambda share: f"{100 * share:.2f}"),
    "teacher_divergence": ("KL", lambda nats: f"{nats:.3f}"),
    "seconds": ("Seconds", lambda time: f"{time:,.0f}"),
    "training_multiply_adds": ("Multiply-adds of training", lambda count: f"{count:.3g}"),
}
"""Columns whose values differ between the cells of a row: a header, and how the mean over seeds is written."""

_EXPLAINED = {
    "top5_accuracy": "top-5 accuracy",
    "negative_log_likelihood": "NLL, the negative log-likelihood in nats an image",
    "calibration_error": "ECE, the expected calibration error (15 bins)",
    "agreement": "agreement with the teacher's classes",
    "teacher_divergence": "KL(teacher || student) in nats an image",
    "seconds": "seconds of the run, on whatever machine made it",
    "training_multiply_adds": "multiply-adds of the whole training, the teacher's and the method's included",
}

_MEASURED: dict[str, tuple[str, Callable[[Export], float | None]]] = {
    "size": ("size_bytes", lambda export: export.size_bytes),
    "latency": ("latency_ms", lambda export: export.latency_ms),
}
"""What `size` and `latency` show: the name in CSV and JSON, and the value. There is a column for each format."""

_ROW_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "parameters": ("Parameters", lambda count: f"{count:,.0f}"),
    "multiply_adds": ("Multiply-adds", lambda count: f"{count:,.0f}"),
    **{f"size_bytes_{name}": (f"Size, kB ({name})", lambda size: f"{size / 1000:,.1f}") for name in ARTEFACTS},
    **{f"latency_ms_{name}": (f"Latency, ms ({name})", lambda time: f"{time:,.3f}") for name in ARTEFACTS},
}
"""Columns whose values belong to a row's network: a header, and how the median over the row's runs is written."""

COLUMNS = ("parameters", "multiply_adds", *_MEASURED, *_CELL_COLUMNS)
"""The names by which columns are chosen."""


def column_values(table: Table, names: Sequence[str]) -> pd.DataFrame:
    """Returns the chosen columns: one line per finished run of the table, with its row and fraction.

    Args:
        table: The table.
        names: Of `COLUMNS`. Size and latency are a column for each format to which a run of the table was exported.

    Raises:
        DamageError: A file with measurements cannot be read.
    """
    runs = table.runs[table.runs["status"] == DONE].reset_index(drop=True)
    exports = _exports(runs) if set(names) & set(_MEASURED) else []
    columns = {name: _values(runs, exports, name) for name in names}
    return pd.concat([runs[CELL], *columns.values()], axis=1)


def cell_values(values: pd.DataFrame) -> pd.DataFrame:
    """Returns the value of each column in each cell: scores and costs are means over seeds, the others medians."""
    functions = {str(name): "mean" if name in _CELL_COLUMNS else "median" for name in values if name not in CELL}
    return values.groupby(CELL).agg(functions)


def score_texts(table: Table) -> dict[str, pd.Series]:
    """Returns the texts of each score and cost that the table's runs have, by row and fraction, by its header."""
    values = cell_values(column_values(table, list(_CELL_COLUMNS)))
    texts = {header: values[name].map(text, "ignore") for name, (header, text) in _CELL_COLUMNS.items()}
    return {header: column for header, column in texts.items() if column.notna().any()}


def row_texts(values: pd.DataFrame) -> pd.DataFrame:
    """Returns the texts of columns by row; missing where no run has a value.

    Scores and costs have a column for each fraction, if they differ.
    """
    parts: list[pd.DataFrame] = []
    for name in values.columns.drop(CELL):
        header, text = (_CELL_COLUMNS | _ROW_COLUMNS)[name]
        if name in _CELL_COLUMNS:
            parts.append(fraction_columns(cell_values(values)[name].map(text, "ignore"), header))
        else:
            parts.append(values.groupby("row")[name].median().map(text, "ignore").to_frame(header))
    return pd.concat(parts, axis=1).astype(object) if parts else pd.DataFrame(index=[])


def fraction_columns(texts: pd.Series, header: str) -> pd.DataFrame:
    """Returns a column for each fraction, from the largest, or a single one if the texts of each row are equal.

    Args:
        texts: By row and fraction.
        header: Of the single column; the others also have the fraction's name.
    """
    columns = texts.unstack("fraction").sort_index(axis=1, ascending=False).dropna(axis=1, how="all")
    if (columns.nunique(axis=1) <= 1).all():
        return texts.groupby("row").first().to_frame(header)
    return columns.rename(columns=lambda fraction: f"{header} ({fraction_name(fraction)})")


def column_lines(table: Table, names: Sequence[str]) -> list[str]:
    """Returns the explanations of chosen columns, for the caption."""
    explained = [_EXPLAINED[name] for name in names if name in _EXPLAINED]
    scores = [f"Means over seeds: {'; '.join(explained)}."] if explained else []
    measured = [name.replace("_", "-") for name in names if name not in _CELL_COLUMNS]
    medians = [f"{', '.join(measured)}: the median over the runs of a row.".capitalize()] if measured else []
    return [" ".join([*scores, *medians, *_export_lines(table, names)])] if names else []


def _export_lines(table: Table, names: Sequence[str]) -> list[str]:
    if not set(names) & set(_MEASURED):
        return []
    exports = [export for run in _exports(table.runs) for export in run]
    if not exports:
        return [f"None of these runs was exported: {program('export')} RUN measures size and latency."]
    processors = "; ".join(sorted({export.processor or "an unknown processor" for export in exports}))
    return [f"Size and latency are of exported networks; latency is of single images on one thread of {processors}."]


def _exports(runs: pd.DataFrame) -> list[list[Export]]:
    return [
        read_run_exports(Path(source), folder) for source, folder in zip(runs["source"], runs["folder"], strict=True)
    ]


def _values(runs: pd.DataFrame, exports: Sequence[Sequence[Export]], name: str) -> pd.DataFrame:
    """Returns the values of a chosen column, which can be several, of each run."""
    if name not in _MEASURED:
        return runs[[name]].astype("float64")
    prefix, value = _MEASURED[name]
    found = [
        {f"{prefix}_{export.format}": value(export) for export in run if value(export) is not None} for run in exports
    ]
    present = {key for run in found for key in run}
    return pd.DataFrame(
        found, index=runs.index, columns=[key for key in _ROW_COLUMNS if key in present], dtype="float64"
    )
