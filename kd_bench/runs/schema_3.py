"""Reads records of schema 3. To be deleted when no run that is still being published was begun by that version."""

import hashlib
from collections.abc import Mapping
from typing import Any

VERSION = 3
_PARTS = ("target", "parameters")


def converted(content: bytes, document: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a record of schema 3 as the present version writes it, without its checksum.

    Args:
        content: of the `result.json`, of which the second line is a checksum of all lines below it.
        document: the same as plain containers.

    Raises:
        ValueError: it is damaged or was edited, or has not the form of a record.
    """
    if document.get("checksum") != hashlib.sha256(content.split(b"\n", 2)[-1]).hexdigest():
        raise ValueError("is not what was written (its checksum differs)")
    if not all(isinstance(document.get(part), dict) for part in ("run", "setting", "config")):
        raise ValueError("is not a record")
    kept = {name: value for name, value in document.items() if name != "checksum"}
    run = {"variant" if name == "overrides" else name: value for name, value in document["run"].items()}
    setting = {"attempts" if name == "sessions" else name: value for name, value in document["setting"].items()}
    return kept | {"run": run, "setting": setting, "config": _in_hydra_shape(document["config"])}


def _in_hydra_shape(facts: Any) -> Any:
    """Returns facts with the parameters of a target beside it, not below `parameters`."""
    if not isinstance(facts, Mapping):
        return facts
    if not all(part in facts for part in _PARTS):
        return {name: _in_hydra_shape(value) for name, value in facts.items()}
    named = {name: value for name, value in facts.items() if name not in _PARTS}
    return {"_target_": facts["target"], **named, **facts["parameters"]}
