"""Runs as a data frame: one row per run, one column per fact. docs/records.md explains the columns."""

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd

from kd_bench.checks import LARGEST_INT
from kd_bench.results.sources import FoundRun, read_curves, read_sources
from kd_bench.runs.folder import RunFolder, run_name
from kd_bench.runs.record import (
    DONE,
    FAILED,
    Cost,
    Run,
    Scores,
    Setting,
)

OUTPUTS = Path("outputs")
SAME_TABLE = ["dataset", "model"]
SAME_ROW = [*SAME_TABLE, "label", "protocol", "precision", "code", "data"]
"""The runs of a row share these facts: they differ only in fraction and seed."""
SAME_RUN = [*SAME_ROW, "fraction", "seed"]

_PARTS: dict[str, type] = {"run": Run, "scores": Scores, "cost": Cost}
_DTYPES: dict[Any, str] = {int: "Int64", int | None: "Int64", float: "float64", float | None: "float64"}
_DERIVED_DTYPES = {"steps": "Int64", "training_multiply_adds": "Int64", "validation": "float64"}
_PREDICTIONS = RunFolder(Path()).predictions.name
_SETTING = ("precision", "replicas", "code", "data", "effective", "finished")


@dataclass(frozen=True)
class Runs:
    """The runs of the sources, ready for tables.

    Attributes:
        frame: The finished runs that count, one row per run.
        repeats: Finished runs that are left out, because a newer record of the same run counts.
        unfinished: The folders of runs without a record in any source.
        unreadable: A message for each record that cannot be read.
    """

    frame: pd.DataFrame
    repeats: pd.DataFrame
    unfinished: list[str]
    unreadable: list[str]

    @property
    def failed(self) -> pd.DataFrame:
        """The failed runs of tables. Trials of a search are not included: they may fail."""
        return self.tabulated[self.tabulated["status"] == FAILED]

    @property
    def tabulated(self) -> pd.DataFrame:
        """The runs that were evaluated on the test set: tables and pictures are made from them."""
        return tested(self.frame)


def read_runs(sources: Iterable[Path]) -> Runs:
    """Reads all records of outputs folders and bundles. A record that cannot be read gives a message, not an error.

    Raises:
        BenchError: A bundle cannot be read at all.
    """
    found = read_sources(sources)
    frame, repeats = split_repeats(make_frame(found.runs))
    finished = {run_name(f"{run.source}/{run.folder}") for run in found.runs}
    unfinished = [folder for folder in found.unfinished if run_name(folder) not in finished]
    return Runs(frame, repeats, unfinished, found.unreadable)


def load_runs(*sources: str | Path, hyper_parameters: bool = True) -> pd.DataFrame:
    """Returns the finished runs of outputs folders and bundles, for a notebook.

    Args:
        sources: Outputs folders and bundles; `outputs` if none is given.
        hyper_parameters: Whether each value of a run's config gets a column, such as `config.method.beta`.

    Returns:
        One row per run. A run that is found twice counts once. A record that cannot be read gives a warning.

    Raises:
        BenchError: A bundle cannot be read at all.
    """
    runs = read_runs([Path(source) for source in sources] or [OUTPUTS])
    for message in runs.unreadable:
        warnings.warn(f"left out: {message}", stacklevel=2)
    return with_hyper_parameters(runs.frame) if hyper_parameters else runs.frame


def load_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the learning curves of runs from `load_runs`.

    Returns:
        One row per evaluation: the run's index in `runs`, `epoch` and `test_accuracy` in [0, 1].
    """
    parts = [_curves(Path(str(source)), group) for source, group in runs.groupby("source", sort=False)]
    evaluations = [evaluation for part in parts for evaluation in part]
    return pd.DataFrame(evaluations, columns=["run", "epoch", "test_accuracy"]).set_index("run")


def make_frame(runs: Sequence[FoundRun]) -> pd.DataFrame:
    """Returns the runs as a data frame with the columns that docs/records.md explains."""
    records = [run.record for run in runs]
    settings = [record.setting for record in records]
    columns: dict[str, list[Any]] = {
        "source": [run.source for run in runs],
        "folder": [run.folder for run in runs],
        "status": [record.status for record in records],
        "reason": [record.reason for record in records],
        "warnings": [record.warnings for record in records],
        "predictions": [record.files.get(_PREDICTIONS) for record in records],
    }
    for name, part in _PARTS.items():
        columns |= _attributes([getattr(record, name) for record in records], [field.name for field in fields(part)])
    columns["variant"] = list(map(_without_model, columns["variant"]))
    columns["steps_by_stage"] = columns["steps"]
    columns["steps"] = [_sum((steps or {}).values()) for steps in columns["steps_by_stage"]]
    columns["training_multiply_adds"] = [_sum(counts.values()) for counts in columns["stage_multiply_adds"]]
    columns |= _attributes(settings, _SETTING)
    columns |= {name: [setting.git.get(name) for setting in settings] for name in ("revision", "dirty")}
    columns["version"] = [setting.versions.get("kd_bench") for setting in settings]
    columns |= {name: [setting.machine.get(name) for setting in settings] for name in ("platform", "processor")}
    columns["config"] = [record.config for record in records]
    columns["validation"] = [record.config.get("validation", 0.0) for record in records]
    return pd.DataFrame(columns).astype(_dtypes() | _DERIVED_DTYPES)


def tested(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the runs that were evaluated on the test set, not on held-out training images."""
    return frame[frame["validation"] == 0]


def with_hyper_parameters(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the frame with a column per value of the runs' configs, and without their `config` as a dict."""
    flat = [dict(_flat_items("config", config)) for config in frame["config"]]
    names = dict.fromkeys(name for config in flat for name in config)
    columns = {name: _column([config.get(name) for config in flat]) for name in names}
    return pd.concat([frame.drop(columns="config"), pd.DataFrame(columns, index=frame.index)], axis=1)


def split_repeats(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Separates the runs that count from their repeats, e.g. in a bundle and in an outputs folder.

    Of several, a run that is done counts before one that failed, and then the one that finished last. Exact copies of a
    record are not reported as repeats.
    """
    ranked = _newest_first(frame.assign(**precision_and_data(frame)))
    copied = ranked.duplicated([*SAME_RUN, "status", "finished"]).reindex(frame.index)
    repeated = ranked.duplicated(SAME_RUN).reindex(frame.index)
    return frame[~repeated].reset_index(drop=True), frame[repeated & ~copied].reset_index(drop=True)


def newest(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the run that counts of each fraction and seed: see `split_repeats`.

    Args:
        runs: The runs of one row of a table.
    """
    repeated = runs.duplicated(["fraction", "seed"])
    return runs[~_newest_first(runs).duplicated(["fraction", "seed"]).reindex(runs.index)] if repeated.any() else runs


def _newest_first(runs: pd.DataFrame) -> pd.DataFrame:
    return runs.assign(done=runs["status"] == DONE).sort_values(["done", "finished"], ascending=False, kind="stable")


def precision_and_data(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Returns the precision and data of each run.

    A run that failed early has neither. It gets those of the done runs of its protocol, if these agree.
    """
    done = frame["status"] == DONE
    keys = [frame[name] for name in (*SAME_TABLE, "label", "protocol")]
    return {name: _filled(frame[name], done, keys) for name in ("precision", "data")}


def run_paths(runs: pd.DataFrame) -> list[str]:
    """Returns the paths of the runs, for messages."""
    if runs.empty:  # pandas forgets the columns
        return []
    return [f"{source}/{folder}" for source, folder in zip(runs["source"], runs["folder"], strict=True)]


def _without_model(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a run's variant without its model, which has tables of its own."""
    return {key: value for key, value in variant.items() if key != "model"}


def _dtypes() -> dict[str, str]:
    """Returns the types of the numeric columns. A column has its type even if all values are missing."""
    annotations: dict[str, Any] = {}
    for part in (*_PARTS.values(), Setting):
        annotations |= get_type_hints(part)
    return {name: _DTYPES[annotation] for name, annotation in annotations.items() if annotation in _DTYPES}


def _column(values: list[Any]) -> pd.api.extensions.ExtensionArray | list[Any]:
    """Returns the values as a column. Integers stay integers, even if some runs have no value."""
    types = {type(value) for value in values if value is not None}
    dtype = {int: "Int64", bool: "boolean"}.get(types.pop()) if len(types) == 1 else None
    return values if dtype is None else pd.array(values, dtype=dtype)  # type: ignore[call-overload]


def _filled(column: pd.Series, done: pd.Series, keys: list[pd.Series]) -> pd.Series:
    groups = column.where(done).groupby(keys)
    return column.where(done | (groups.transform("nunique") != 1), groups.transform("first"))


def _sum(counts: Collection[int | None]) -> int | None:
    """Returns the sum; None if there is nothing to add, a part is unknown, or the sum is too large for the table."""
    total = None if None in counts else sum(count for count in counts if count is not None)
    return total if counts and total is not None and total <= LARGEST_INT else None


def _attributes(parts: Sequence[Any], names: Iterable[str]) -> dict[str, list[Any]]:
    return {name: [getattr(part, name) for part in parts] for name in names}


def _curves(source: Path, runs: pd.DataFrame) -> Iterator[tuple[Any, int, float]]:
    curves = read_curves(source, runs["folder"])
    for run, folder in runs["folder"].items():
        for epoch, accuracy in curves[folder]:
            yield run, epoch, accuracy


def _flat_items(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Yields every value by the key that sets it on the command line."""
    if not isinstance(node, Mapping):
        yield key, node
        return
    for name, value in node.items():
        yield from _flat_items(f"{key}.{name}", value)
