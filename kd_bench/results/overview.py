"""The methods of this package beside each other: what each reads and needs, its stages, their costs, and its gains.

What a method is comes from its config and its class, what it gains from the tables, what a step costs from a
measurement.
"""

import re
from collections.abc import Iterator, Sequence

import pandas as pd
from tabulate import tabulate

from kd_bench.config.signature import class_constant
from kd_bench.results.lengths import StepCosts, length_cells
from kd_bench.results.methods import Method, methods
from kd_bench.results.rows import STUDENT, TEACHER
from kd_bench.results.table import Table, fraction_name, mark
from kd_bench.results.text import MISSING, escaped

_TEACHERS = {"pretrained": "", "scratch": "a peer, no trained teacher"}
"""What a method needs for each `teacher_init`, unless it is the usual."""


def render_overview(tables: Sequence[Table], costs: StepCosts | None) -> str:
    """Returns a table of the methods in Markdown, with links to the pages beside it.

    Args:
        tables: Each one's smallest fraction gives columns of gains: at the shortest and at the longest length at which
            half of the methods have one.
        costs: The measured costs of steps, in steps of the plain student; None if they are not known.
    """
    columns = dict(column for table in tables for column in _gain_columns(table))
    header = ["Method", "Year", "Reads", "Weight", "Needs", "Cost of a step in each stage", *columns]
    lines = [
        [*_facts(method), _cost(method, costs or {}), *(gains.get(method.label, MISSING) for gains in columns.values())]
        for method in methods()
        if method.label not in (STUDENT, TEACHER)
    ]
    return tabulate(lines, header, tablefmt="github", disable_numparse=True)


def _facts(method: Method) -> list[str]:
    """Returns what the config and the class of a method say."""
    year = re.search(r"\b\d{4}\b", method.comment)
    link = f"[{method.label}]({method.name}.md)"
    return [link, year[0] if year else MISSING, _reads(method), ", ".join(_weights(method)) or MISSING, _needs(method)]


def _constant(method: Method, name: str) -> object:
    return class_constant("method", method.target, name)


def _reads(method: Method) -> str:
    maps = ["maps"] if _constant(method, "min_points") else []
    read = [*maps, *(["embedding"] if _constant(method, "needs_embedding") else [])]
    return " and ".join(read or ["logits"])


def _needs(method: Method) -> str:
    points = _constant(method, "min_points")
    needs = [
        f"{points} feature point{'s' if points != 1 else ''}" if points else "",
        _TEACHERS[str(_constant(method, "teacher_init"))],
        "" if _constant(method, "supports_mixed_images") else "one label per image",
    ]
    return ", ".join(filter(None, needs)) or MISSING


def _weights(method: Method) -> list[str]:
    """Returns the hyper-parameters that weigh the terms of the loss: named so or, failing that, by a Greek letter."""
    named = [key for key in method.config if key == "weight" or key.endswith("_weight")]
    return [f"`{key}`" for key in named or [key for key in method.config if key in ("alpha", "beta")]]


def _cost(method: Method, costs: StepCosts) -> str:
    return ", ".join(f"{stage} {cost:.1f}" for stage, cost in costs.get(method.name, {}).items()) or MISSING


def _gain_columns(table: Table) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the titles of a table's columns and, in each, the gains by the label of the method."""
    usual = {row.name: row.label for row in table.rows if row.has_default_method}
    cells = length_cells(table)
    cells = cells[cells["row"].isin(usual) & cells["gain"].notna() & (cells["fraction"] == cells["fraction"].min())]
    cells = cells.assign(label=cells["row"].map(usual)).sort_values("n", kind="stable")
    cells = cells.drop_duplicates(["label", "length"], keep="last")
    counts = cells.groupby("length")["label"].size()
    common = sorted(counts[counts >= counts.max() / 2].index)
    for length in dict.fromkeys([*common[:1], *common[-1:]]):
        part = cells[cells["length"] == length]
        title = f"{table.dataset}, {fraction_name(part['fraction'].iloc[0])}, {length} steps"
        yield escaped(title), dict(zip(part["label"], _gains(part), strict=True))


def _gains(cells: pd.DataFrame) -> list[str]:
    return [f"{100 * cell['gain']:+z.1f}{mark(cell)}" for cell in cells.to_dict("records")]
