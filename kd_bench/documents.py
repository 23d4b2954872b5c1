"""Reads JSON and YAML that anybody may have written: nothing in it can need much memory or end the program."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import yaml

from kd_bench.checks import DEPTH

_LARGEST = 64 * 2**20
"""The largest document in bytes. The largest records have some ten kilobytes."""


def read_json(content: str | bytes) -> Any:
    """Returns the value of a JSON document.

    Raises:
        ValueError: it is no JSON, too large or too deep.
    """
    _require_size(content)
    try:
        return json.loads(content)
    except RecursionError as problem:
        raise ValueError(f"has more than {DEPTH} containers inside each other") from problem


def json_checksum(document: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a JSON document, whatever the order of its keys and the spaces between them."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def read_yaml(content: str | bytes) -> Any:
    """Returns the value of a YAML document of plain values.

    Raises:
        ValueError: it is no YAML, too large or too deep, or has aliases, with which a few bytes can describe gigabytes.
    """
    _require_size(content)
    try:
        return yaml.load(content, _Loader)
    except yaml.YAMLError as problem:
        raise ValueError(" ".join(str(problem).split())) from problem


def _require_size(content: str | bytes) -> None:
    if len(content) > _LARGEST:
        raise ValueError(f"has {len(content)} bytes, more than {_LARGEST}")


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses aliases and deep documents."""

    _level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("has aliases (*)")
        if self._level > DEPTH:
            raise yaml.YAMLError(f"has more than {DEPTH} containers inside each other")
        self._level += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._level -= 1
