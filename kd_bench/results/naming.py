"""The names and the order of rows and columns."""

import json
from collections import defaultdict
from collections.abc import Callable

from kd_bench.runs.record import Record

TEACHER, STUDENT = "Teacher", "Student"
ROW_ORDER = (
    *(TEACHER, STUDENT, "Soft_logits", "FitNet", "AT", "FSP", "DML", "KD_SVD", "KD_EID"),
    *("FT", "AB", "RKD", "VID", "MHGD", "CO"),
)
METHOD_PREFIX = "method."

# What may tell rows of one name apart, the most telling first.
_QUALIFIERS: tuple[Callable[[Record], str], ...] = (
    lambda record: record.setting.precision,
    lambda record: record.run.budget,
    lambda record: record.run.experiment,
    lambda record: f"data {(record.setting.data or 'unknown')[:7]}",
    lambda record: f"#{record.run.protocol[:4]}",
    lambda record: f"#{record.run.protocol}",
)


def fraction_name(fraction: float) -> str:
    """Returns a column's name: "Full", "50 %", "12.5 %"."""
    return "Full" if fraction == 1 else f"{100 * fraction:g} %"


def row_names(records: list[Record]) -> list[str]:
    """Returns a name for each row: its label and overrides, and where that is not enough, whatever else differs."""
    names = [_plain_name(record) for record in records]
    for qualifier in _QUALIFIERS:
        names = _qualify(names, [qualifier(record) for record in records])
    return names


def row_place(record: Record) -> tuple[int, str, int]:
    """Returns a row's sorting key: the order of the methods, then unknown ones; overrides follow what they override."""
    label = record.run.label
    known = ROW_ORDER.index(label) if label in ROW_ORDER else len(ROW_ORDER)
    return known, label, len(record.run.overrides)


def _plain_name(record: Record) -> str:
    overrides = sorted(record.run.overrides.items())
    settings = ", ".join(f"{key.removeprefix(METHOD_PREFIX)}={_value_name(value)}" for key, value in overrides)
    return f"{record.run.label} ({settings})" if settings else record.run.label


def _value_name(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _qualify(names: list[str], qualifiers: list[str]) -> list[str]:
    """Appends its qualifier to each name that occurs with several of them."""
    found = defaultdict(set)
    for name, qualifier in zip(names, qualifiers, strict=True):
        found[name].add(qualifier)
    return [
        f"{name} {qualifier}" if len(found[name]) > 1 else name
        for name, qualifier in zip(names, qualifiers, strict=True)
    ]
