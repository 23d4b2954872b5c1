"""Selects runs by dataset, model, preset, method, fraction and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from kd_bench.errors import BenchError


@dataclass(frozen=True)
class Filters:
    """The values to keep of each kind; an empty list keeps all. A method is given by its name or its label.

    Attributes:
        presets_only: Whether only runs without other settings than their preset's are kept.
    """

    dataset: Sequence[str] = ()
    model: Sequence[str] = ()
    experiment: Sequence[str] = ()
    methods: Sequence[str] = ()
    fractions: Sequence[float] = ()
    seeds: Sequence[int] = ()
    presets_only: bool = False


def select(runs: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Returns the runs that match all filters.

    Raises:
        BenchError: A value matches no run, or no run matches all filters.
    """
    return _chosen(comparable(runs, filters), {"experiment": filters.experiment, "methods": filters.methods})


def comparable(runs: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Returns the runs that pass those filters that remove whole tables, columns or seeds.

    The other filters remove rows, after the rows have been compared.

    Raises:
        BenchError: A value matches no run, or no run matches these filters.
    """
    _check(runs, filters)
    criteria: dict[str, Sequence] = {
        name: getattr(filters, name) for name in ("dataset", "model", "fractions", "seeds")
    }
    chosen = _chosen(runs, criteria)
    if not filters.presets_only:
        return chosen
    plain = chosen[[not variant for variant in chosen["variant"]]]
    return _chosen(plain, {})


_COLUMNS = {
    "dataset": ["dataset"],
    "model": ["model"],
    "experiment": ["experiment"],
    "methods": ["method", "label"],
    "fractions": ["fraction"],
    "seeds": ["seed"],
}


def _chosen(runs: pd.DataFrame, criteria: dict[str, Sequence]) -> pd.DataFrame:
    for name, values in criteria.items():
        if values:
            runs = runs[runs[_COLUMNS[name]].isin(values).any(axis=1)]
    if runs.empty:
        raise BenchError("no run matches all filters")
    return runs


def _check(runs: pd.DataFrame, filters: Filters) -> None:
    for name, columns in _COLUMNS.items():
        for value in getattr(filters, name):
            if not runs[columns].isin([value]).any(axis=None):
                available = ", ".join(str(known) for known in sorted(set(runs[columns[0]])))
                raise BenchError(f"--{name} {value}: no run has it; there are: {available}")
