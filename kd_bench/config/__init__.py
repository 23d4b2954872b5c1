"""The config of a run: how it is composed, checked and identified. Nothing here imports TensorFlow."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

TEACHER_METHOD = "teacher"
"""The name of the method that trains teachers."""

WITH_SOFT_LOGITS = " + KD"
"""The end of the label of a method that has a soft-logits term beside its own losses."""

MAIN_STAGE = "main"
"""The last stage of every run; its length is the config's `epochs`."""


def title(dataset: str, method: str, fraction: float, seed: int, variant: Mapping[str, Any]) -> str:
    """Returns a short description of a run, for messages and lists."""
    changes = "".join(f" {key}={rounded(value)}" for key, value in variant.items())
    return f"{dataset} {method} fraction={fraction:g} seed={seed}{changes}"


def rounded(value: Any) -> Any:
    """Returns a number with at most six digits for a name, such as one that a search chose; other values unchanged."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


_OF_TEACHER = ("teacher.", "model.teacher.", "dataset.", "precision", "deterministic")
"""Prefixes of the keys in a student's variant that change its teacher's run."""


def variant_of_teacher(variant: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the variant of a student's teacher, as if the user had started it: `teacher.epochs=3` as `epochs=3`."""
    return {
        key.removeprefix("teacher."): value
        for key, value in variant.items()
        if key == "model" or key.startswith(_OF_TEACHER)
    }


def without(facts: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Returns a copy of a run's facts without some keys.

    Args:
        facts: in the format of a record's `config`: the values of a component are below `parameters`.
        keys: in the format of the command line, such as `seed` or `optimizer.learning_rate`.
    """
    kept = copy.deepcopy(dict(facts))
    for key in keys:
        *groups, name = key.split(".")
        node = kept
        for group in groups:
            node = _group(node, group) or _group(_group(node, "parameters"), group)
        node.pop(name, None)
        _group(node, "parameters").pop(name, None)
    return kept


def _group(node: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns a group in a group; an empty one if there is none."""
    found = node.get(name)
    return found if isinstance(found, dict) else {}
