"""Makes a dataclass of a document, and checks every field against its annotation: what was written can be read."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_type_hints

from kd_bench.checks import check, join
from kd_bench.errors import ConfigError
from kd_bench.messages import one_line

_LONGEST = 300
"""The longest message in letters: a wrong value may be long."""
_Class = TypeVar("_Class")


def to_dataclass(cls: type[_Class], document: Any, ignore_unknown: bool = False) -> _Class:
    """Returns the dataclass that a document describes.

    Args:
        cls: the dataclass; its annotations are those that `check` knows, or other dataclasses.
        document: plain containers.
        ignore_unknown: whether the document may have other fields, which are not checked.

    Raises:
        ValueError: a field is unknown or missing, or its value has the wrong type or is out of range.
    """
    if ignore_unknown and isinstance(document, Mapping):
        known = annotations(cls)  # type: ignore[arg-type]  # it is hashable
        document = {name: document[name] for name in known if name in document}
    try:
        return _build("", document, cls)
    except ConfigError as problem:
        message = one_line(str(problem)).rstrip(".")
        raise ValueError(message if len(message) <= _LONGEST else f"{message[:_LONGEST]}...") from problem


@cache
def annotations(cls: Any) -> dict[str, Any]:
    """Returns the annotations of a dataclass by field, with the rules that they have."""
    return get_type_hints(cls, include_extras=True)


def _build(key: str, value: Any, cls: Any) -> Any:
    types = annotations(cls) if is_dataclass(cls) else None  # type: ignore[arg-type]  # it is hashable
    if types is None:
        return check(key, value, cls)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key or 'its content'}: must be a group of fields.")
    for name in value:
        if name not in types:
            raise ConfigError(f"{join(key, name)}: is a field that this version does not know.")
    for name in _required(cls):
        if name not in value:
            raise ConfigError(f"{join(key, name)}: is missing.")
    return cls(**{name: _build(join(key, name), item, types[name]) for name, item in value.items()})


@cache
def _required(cls: Any) -> list[str]:
    return [field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING]
