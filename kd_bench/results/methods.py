"""The methods of this package in the order of their rows, as their configs say."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kd_bench.installation import CONF


@dataclass(frozen=True)
class Method:
    """A method of this package.

    Attributes:
        name: What `method=` takes.
        comment: The first line of its config.
        config: The rest of it.
    """

    name: str
    comment: str
    config: dict[str, Any]

    @property
    def label(self) -> str:
        """The name of its row."""
        return str(self.config["label"])

    @property
    def target(self) -> str:
        """The import path of its class."""
        return str(self.config["_target_"])


@cache
def methods() -> list[Method]:
    """Returns the methods of this package, in the order of the rows of tables."""
    return sorted(map(_read, (CONF / "method").glob("*.yaml")), key=lambda method: int(method.config["row"]))


def method_labels() -> list[str]:
    """Returns the label of each method of this package, in the order of the rows of tables."""
    return [method.label for method in methods()]


def _read(path: Path) -> Method:
    text = path.read_text(encoding="utf-8")
    return Method(path.stem, text.partition("\n")[0].lstrip("# "), yaml.load(text, yaml.CSafeLoader))
