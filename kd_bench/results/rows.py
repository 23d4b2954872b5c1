"""The rows of a table: the runs of each row, its name, its position, and the row that it is compared with."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from kd_bench.config import WITH_SOFT_LOGITS, rounded, variant_of_teacher, without
from kd_bench.results.frame import SAME_ROW, newest, precision_and_data
from kd_bench.results.methods import method_labels
from kd_bench.results.reproduction import merge_codes, repeated_seeds

TEACHER, STUDENT = "Teacher", "Student"
METHOD_PREFIX = "method."
_MAY_DIFFER = ("method", "kd_weight", "kd_temperature", "seed", "fraction")


@dataclass(frozen=True, eq=False)
class Row:
    """Runs that differ only in fraction and seed.

    Attributes:
        details: What distinguishes the row from others of its table: settings such as `beta=5`, or words.
        variant: The differences from the preset that most of the runs were started with, without values that a search
            chose.
        runs: The row's part of the runs' data frame.
        facts: The facts of one of the runs, for facts that all runs share.
        reproduced: The seeds of which runs of several codes are there, with the same predictions; the newest counts.
    """

    details: Sequence[str]
    variant: dict[str, Any]
    runs: pd.DataFrame
    facts: Mapping[Any, Any]
    reproduced: list[int]

    @property
    def name(self) -> str:
        """The label and, in brackets, the details; unique in its table."""
        return name_row(self.label, self.details)

    @property
    def label(self) -> str:
        """The method's name."""
        return str(self.facts["label"])

    @property
    def trials(self) -> int:
        """The trials of the search that chose the runs' values; 0 if none did."""
        return int(_tuned(self.facts)["trials"])

    @property
    def has_default_method(self) -> bool:
        """Whether the method has the hyper-parameters of its preset, or those that a search chose."""
        return not any(key.startswith(METHOD_PREFIX) for key in self.variant)

    def comparison_key(self, with_teacher: bool) -> str:
        """Returns everything except the method that can change the result. Rows that share it can be compared."""
        teacher_keys = () if with_teacher else ("teacher", "model.teacher")
        config = without(self.facts["config"], (*_MAY_DIFFER, *teacher_keys, *_tuned(self.facts)["keys"], "tuned.keys"))
        return json.dumps([self.facts["precision"], self.facts["data"], config], sort_keys=True)


def build_rows(runs: pd.DataFrame) -> list[Row]:
    """Returns the rows of one table, in its order."""
    completed = runs.assign(**precision_and_data(runs))
    rows = [_build_row(group) for group in _groups(completed)]
    named = zip(rows, _all_details(rows), strict=True)
    return sorted((replace(row, details=details) for row, details in named), key=_sort_key)


def common_settings(rows: Iterable[Row]) -> dict[str, Any]:
    """Returns the differences from their presets that all students of a table share. No row's name repeats them."""
    students = [row for row in rows if row.label != TEACHER]
    found = {key: value for row in students for key, value in row.variant.items() if not key.startswith(METHOD_PREFIX)}
    return {
        key: value
        for key, value in found.items()
        if all((key, value) in row.variant.items() for row in students if _uses(key, row))
    }


def _uses(key: str, row: Row) -> bool:
    """Returns whether a row's runs use a key: those of a teacher only if they have one."""
    return not key.startswith(("teacher", "model.teacher")) or bool(row.facts["config"].get("teacher"))


def setting_text(key: str, value: Any) -> str:
    """Returns text such as `epochs=40`, `beta=5`."""
    text = value if isinstance(value, str) else json.dumps(rounded(value), ensure_ascii=False)
    return f"{key.removeprefix(METHOD_PREFIX)}={text}"


def name_row(label: str, details: Sequence[str]) -> str:
    """Returns a name such as `AT (beta=5)`."""
    return f"{label} ({', '.join(details)})" if details else label


def find_references(row: Row, rows: Sequence[Row], reference: str) -> list[Row]:
    """Returns the rows that differ from the given row only in the method: one, if it can be compared.

    If there are several, they have different code, and do not reproduce each other. Then one of the row's own code or,
    failing that, of its revision is its reference.

    Args:
        row: The row to compare.
        rows: All rows of the table.
        reference: The label or the name of the reference.
    """
    candidates = [other for other in rows if _matches(other, reference)]
    if row.label == TEACHER or row in candidates:
        return []
    # A plain student has no teacher: what its config says about a teacher does not matter.
    with_teacher = STUDENT not in (row.label, *(other.label for other in candidates))
    comparison_key = row.comparison_key(with_teacher)
    alike = [other for other in candidates if other.comparison_key(with_teacher) == comparison_key]
    for origin in ("code", "revision"):
        same_origin = [other for other in alike if set(other.runs[origin].dropna()) & set(row.runs[origin].dropna())]
        if len(alike) > 1 and same_origin:
            alike = same_origin
    return alike


def _matches(row: Row, reference: str) -> bool:
    return row.name == reference or (row.label == reference and row.has_default_method)


def _groups(runs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yields the runs of each row."""
    for _, group in runs.groupby([name for name in SAME_ROW if name != "code"], sort=False, dropna=False):
        yield from (part for _, part in group.groupby(merge_codes(group), sort=False))


def _build_row(runs: pd.DataFrame) -> Row:
    facts = runs.iloc[0].to_dict() | {"experiment": _leading_experiment(runs)}
    return Row([], _shared_variant(runs), newest(runs), facts, repeated_seeds(runs))


def _leading_experiment(runs: pd.DataFrame) -> str:
    """Returns the preset that most of the runs were started with; if several are equal, the first by name."""
    return runs["experiment"].mode().iloc[0]


def _sort_key(row: Row) -> tuple[int, str, int, str]:
    """Returns the sorting key: known methods in their order, then others; rows with variant last."""
    method = row.label.removesuffix(WITH_SOFT_LOGITS)
    known = method_labels()
    order = known.index(method) if method in known else len(known)
    return order, row.label, len(row.variant), row.name


def _shared_variant(runs: pd.DataFrame) -> dict[str, Any]:
    """Returns the variant that all runs of the leading preset have. Others cannot have changed the result."""
    first, *others = runs.loc[runs["experiment"] == _leading_experiment(runs), "variant"]
    chosen = _tuned(runs.iloc[0].to_dict())["keys"]
    return {
        key: value
        for key, value in first.items()
        if key not in chosen and all(key in other and other[key] == value for other in others)
    }


def _tuned(facts: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Returns how a search chose some of a run's values."""
    return facts["config"].get("tuned", {"trials": 0, "keys": []})


# Facts that can distinguish rows with the same name, the clearest first.
_QUALIFIERS: tuple[Callable[[Mapping[Any, Any]], str], ...] = (
    lambda facts: facts["precision"],
    lambda facts: facts["budget"],
    lambda facts: facts["experiment"],
    lambda facts: f"code {facts['code'][:7]}",
    lambda facts: f"data {facts['data'][:7] if isinstance(facts['data'], str) else 'unknown'}",
    lambda facts: f"#{facts['protocol'][:4]}",
    lambda facts: f"#{facts['protocol']}",
)


def _all_details(rows: Sequence[Row]) -> list[list[str]]:
    """Returns the details of each row: its own settings and, if its name is not unique, other facts that differ."""
    common = common_settings(rows)
    teacher_common = variant_of_teacher(common) if [row.label for row in rows].count(TEACHER) == 1 else {}
    all_details = [_details(row, teacher_common if row.label == TEACHER else common) for row in rows]
    for qualifier in _QUALIFIERS:
        found = defaultdict(set)
        for row, details in zip(rows, all_details, strict=True):
            found[name_row(row.label, details)].add(qualifier(row.facts))
        all_details = [
            [*details, qualifier(row.facts)] if len(found[name_row(row.label, details)]) > 1 else details
            for row, details in zip(rows, all_details, strict=True)
        ]
    return all_details


def _details(row: Row, common: Mapping[str, Any]) -> list[str]:
    """Returns whether a search chose values, and what differs from the preset and from what is common."""
    distinct = {key: value for key, value in row.variant.items() if (key, value) not in common.items()}
    return [*(["tuned"] if row.trials else []), *(setting_text(key, distinct[key]) for key in sorted(distinct))]
