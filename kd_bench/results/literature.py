"""Published accuracies beside ours: gains over the plain student, and rank correlations of the methods' orders."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kd_bench.errors import BenchError
from kd_bench.results.lengths import Lengths
from kd_bench.results.methods import method_labels
from kd_bench.results.rows import STUDENT, TEACHER
from kd_bench.results.table import Table, fraction_name
from kd_bench.results.text import MISSING, Grid, section

_COLUMNS = ["source", "commit", "pair", "method", "column", "accuracy"]
_MIN_METHODS = 4
"""A rank correlation of fewer methods says nothing."""


def read_published(path: Path) -> pd.DataFrame:
    """Reads published accuracies in %: a CSV file with the columns source, commit, pair, method, column and accuracy.

    Raises:
        BenchError: The file cannot be read, or lacks one of the columns.
    """
    try:
        published = pd.read_csv(path)
        return published[_COLUMNS].astype({"accuracy": "float64"})
    except (OSError, ValueError, KeyError) as error:
        raise BenchError(f"{path}: is no table with the columns {', '.join(_COLUMNS)} ({error})") from error


def published_gains(published: pd.DataFrame) -> pd.DataFrame:
    """Returns the published accuracies of methods with their `gain` over the source's plain student, in points.

    A source without a plain student gets that of another source with the same pair and column.
    """
    keys = ["source", "commit", "pair", "column"]
    students = published[published["method"] == STUDENT]
    same_source = students.set_index(keys)["accuracy"].rename("own")
    other_sources = students.groupby(["pair", "column"])["accuracy"].first().rename("other")
    methods = published[~published["method"].isin([TEACHER, STUDENT])]
    joined = methods.join(same_source, on=keys).join(other_sources, on=["pair", "column"])
    return methods.assign(gain=joined["accuracy"] - joined["own"].fillna(joined["other"])).dropna(subset="gain")


def our_gains(table: Table, all_lengths: Sequence[Lengths]) -> dict[str, pd.Series]:
    """Returns our gains in points by method, at each fraction and at each length, of methods with their preset."""
    default = {row.name: row.label for row in table.rows if not row.variant}
    cells = table.cells[table.cells["row"].isin(default)].dropna(subset="gain")
    found = {
        f"ours, {fraction_name(fraction)}": _gains_by_method(cells[cells["fraction"] == fraction], "row")
        for fraction in table.fractions
    }
    for lengths in all_lengths:
        for length in lengths.columns:
            part = lengths.cells[lengths.cells["length"] == length].dropna(subset="gain")
            found[f"ours, {fraction_name(lengths.fraction)}, {length:,} steps"] = _gains_by_method(part, "method")
    return {name: gains for name, gains in found.items() if len(gains)}


def render_literature(table: Table, lengths: Sequence[Lengths], published: pd.DataFrame, output_format: str) -> str:
    """Returns the gains and their rank correlations as text: Markdown or LaTeX."""
    gains = published_gains(published)
    sources = {
        f"{source} {commit}, {column}": part.groupby("method")["gain"].mean()
        for (source, commit, column), part in gains.groupby(["source", "commit", "column"], sort=False)
    }
    ours = our_gains(table, lengths)
    pairs = published_pairs(gains)
    parts = [
        ("Gains over the plain student, in points", "literature", [_gains(sources | ours)], _CAPTION),
        ("Rank correlations of the gains", "correlations", [_correlations(sources | ours)], _CORRELATIONS),
        *((f"{name}: gains by pair", f"pairs-{name}", [_gains(columns)], []) for name, columns in pairs.items()),
    ]
    return "\n\n".join(section(*part, output_format) for part in parts)


def published_pairs(gains: pd.DataFrame) -> dict[str, dict[str, pd.Series]]:
    """Returns the gains by pair of each source that has several pairs."""
    found: dict[str, dict[str, pd.Series]] = {}
    for (source, commit), part in gains.groupby(["source", "commit"], sort=False):
        if part["pair"].nunique() > 1:
            by_pair = part.groupby("pair", sort=False)
            found[f"{source} {commit}"] = {str(pair): rows.set_index("method")["gain"] for pair, rows in by_pair}
    return found


_CAPTION = [
    "The mean over the pairs of a source, each over the plain student of the same pair; ours over our plain student of "
    "the same data and length. A source is named with its commit and its share of the training images."
]
_CORRELATIONS = [
    f"Spearman's rank correlation over the methods that both have (number of methods); {MISSING} for fewer than "
    f"{_MIN_METHODS}."
]


def _gains_by_method(cells: pd.DataFrame, name: str) -> pd.Series:
    known = cells[cells[name].isin(method_labels())]
    return 100 * known.set_index(name)["gain"]


def _gains(columns: dict[str, pd.Series]) -> Grid:
    methods = [method for method in method_labels() if any(method in gains.index for gains in columns.values())]
    lines = [
        [method, *(f"{gains[method]:+z.2f}" if method in gains.index else MISSING for gains in columns.values())]
        for method in methods
    ]
    return ["Method", *columns], lines


def _correlations(columns: dict[str, pd.Series]) -> Grid:
    """Returns the lower triangle of the correlations; the columns of the grid are numbers of its lines."""
    names = list(columns)
    found = {}
    for first, second in itertools.combinations(names, 2):
        common = pd.concat([columns[first], columns[second]], axis=1, join="inner").dropna()
        if len(common) >= _MIN_METHODS:
            ranks = common.rank()
            found[second, first] = f"{ranks.iloc[:, 0].corr(ranks.iloc[:, 1]):+z.2f} ({len(common)})"
    lines = [
        [f"{number}: {name}", *(found.get((name, other), MISSING) for other in names[: number - 1])]
        + [""] * (len(names) - number)
        for number, name in enumerate(names, start=1)
    ]
    return ["", *map(str, range(1, len(names)))], lines
