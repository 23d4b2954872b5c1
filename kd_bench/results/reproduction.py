"""Runs of different code that reproduce each other: the same config, data, fraction and seed, the same predictions."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from kd_bench.runs.record import DONE

_RUN = ["fraction", "seed"]


def merge_codes(runs: pd.DataFrame) -> pd.Series:
    """Returns the code that each run counts as, so that runs which reproduce each other have one code.

    Two codes become one if they have runs in common, by fraction and seed, and all of these have the same predictions.

    Args:
        runs: Runs that differ only in code, fraction and seed.
    """
    if runs["code"].nunique() == 1:
        return runs["code"]
    done = runs[runs["status"] == DONE].sort_values("finished", kind="stable")
    merged: dict[str, dict[Any, Any]] = {}
    names = {}
    for code, group in done.groupby("code", sort=False):
        predictions = group.set_index(_RUN)["predictions"].to_dict()
        name = next((known for known, others in merged.items() if _reproduce(predictions, others)), str(code))
        names[code] = name
        merged[name] = merged.get(name, {}) | predictions
    return runs["code"].map(lambda code: names.get(code, code))


def repeated_seeds(runs: pd.DataFrame) -> list[int]:
    """Returns the seeds of which runs of several codes are there.

    Args:
        runs: The runs of a row.
    """
    return sorted({int(seed) for seed in runs.loc[runs.duplicated(_RUN), "seed"]})


def _reproduce(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> bool:
    common = first.keys() & second.keys()
    return bool(common) and all(pd.notna(first[run]) and first[run] == second[run] for run in common)
