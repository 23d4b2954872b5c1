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
_Kind = TypeVar("_Kind")


def typed(kind: type[_Kind], document: Any) -> _Kind:
    """Returns the dataclass that a document describes.

    Args:
        kind: the dataclass; its annotations are those that `check` knows, or other dataclasses.
        document: plain containers.

    Raises:
        ValueError: a field is unknown or missing, or its value has the wrong type or is out of range.
    """
    try:
        return _made("", document, kind)
    except ConfigError as problem:
        message = one_line(str(problem)).rstrip(".")
        raise ValueError(message if len(message) <= _LONGEST else f"{message[:_LONGEST]}...") from problem


def known(kind: type[_Kind], document: Any) -> _Kind:
    """Returns the dataclass that a part of a document describes: as `typed`, but with other fields in the document."""
    if isinstance(document, Mapping):
        wanted: Any = kind
        document = {name: document[name] for name in annotations(wanted) if name in document}
    return typed(kind, document)


@cache
def annotations(kind: Any) -> dict[str, Any]:
    """Returns the annotations of a dataclass by field, with the rules that they have."""
    return get_type_hints(kind, include_extras=True)


def _made(key: str, value: Any, kind: Any) -> Any:
    own = annotations(kind) if is_dataclass(kind) else None  # type: ignore[arg-type]  # it is hashable
    if own is None:
        return check(key, value, kind)
    if not isinstance(value, Mapping):
        raise ConfigError(f"{key or 'its content'}: must be a group of fields.")
    for name in value:
        if name not in own:
            raise ConfigError(f"{join(key, name)}: is a field that this version does not know.")
    for name in _required(kind):
        if name not in value:
            raise ConfigError(f"{join(key, name)}: is missing.")
    return kind(**{name: _made(join(key, name), one, own[name]) for name, one in value.items()})


@cache
def _required(kind: Any) -> list[str]:
    return [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
