"""What was asked for: the config of a run, composed, checked and identified. Nothing here imports TensorFlow."""

from collections.abc import Mapping
from typing import Any

TEACHER_METHOD = "teacher"
"""The method whose runs train teachers; other runs ask for them by this name."""

MAIN_STAGE = "main"
"""The stage that every run ends with; its length is the config's `epochs`."""


def title(dataset: str, method: str, fraction: float, seed: int, variant: Mapping[str, Any]) -> str:
    """Returns a run in a few words, for messages and lists."""
    changes = "".join(f" {key}={value}" for key, value in variant.items())
    return f"{dataset} {method} fraction={fraction:g} seed={seed}{changes}"
