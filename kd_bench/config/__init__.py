"""The config of a run: how it is composed, checked and identified. Nothing here imports TensorFlow."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

TEACHER_METHOD = "teacher"
"""The name of the method that trains teachers."""

WITH_SOFT_LOGITS = " + KD"
"""The end of the label of a method that has a soft-logits term beside its own losses."""

TARGET = "_target_"
"""The key of the import path of what a config builds; the keys beside it are the parameters."""

NAMES = ("name", "label", "row")
"""Keys beside a target that are no parameters: of these, a method has its label and the place of its row in tables."""

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
    """Returns a copy of a run's facts without some keys, given as on the command line: `optimizer.learning_rate`."""
    kept = copy.deepcopy(dict(facts))
    for key in keys:
        *groups, name = key.split(".")
        node: Any = kept
        for group in groups:
            node = node.get(group) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(name, None)
    return kept
