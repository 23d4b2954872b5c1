"""Checks values against annotations, with messages for people."""

import difflib
import math
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from kd_bench.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Bounds of a number: `above` excludes its end, `least` and `most` include theirs."""

    above: float = -math.inf
    least: float = -math.inf
    most: float = math.inf

    def __contains__(self, value: float) -> bool:
        return math.isfinite(value) and self.above < value and self.least <= value <= self.most

    def __str__(self) -> str:
        low = f"above {self.above:g}" if self.above > -math.inf else f"at least {self.least:g}"
        return low if self.most == math.inf else f"{low} and at most {self.most:g}"


PositiveInt = Annotated[int, Range(least=1)]
NonNegativeInt = Annotated[int, Range(least=0)]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(least=0)]
Share = Annotated[float, Range(above=0, most=1)]
Probability = Annotated[float, Range(least=0, most=1)]

VOCABULARY: dict[str, Any] = {
    "PositiveInt": PositiveInt,
    "NonNegativeInt": NonNegativeInt,
    "Positive": Positive,
    "NonNegative": NonNegative,
    "Share": Share,
    "Probability": Probability,
    "Literal": Literal,
    "float": float,
    "int": int,
    "str": str,
    "bool": bool,
    "list": list,
}
"""The annotations a config can be checked against, by the names that signatures use."""

_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def check(key: str, value: Any, annotation: Any) -> Any:
    """Returns `value`, a whole number turned into a float where one is asked for.

    Args:
        key: the config key, for the message.
        value: what the config holds.
        annotation: a type, a `Literal`, a `list[...]`, a union with `None`, or a number annotated with a `Range`.

    Raises:
        ConfigError: naming the key, the value and what is allowed.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        kind, bounds = get_args(annotation)
        return _number(key, value, kind, bounds)
    if origin is Literal:
        return _choice(key, value, get_args(annotation))
    if origin is list:
        if not isinstance(value, list):
            raise ConfigError(f"{key}={value}: must be a list, such as [0.3,0.6].")
        return [check(f"{key}[{place}]", item, get_args(annotation)[0]) for place, item in enumerate(value)]
    if origin in (Union, types.UnionType):
        return _union(key, value, get_args(annotation))
    if annotation in (int, float):
        return _number(key, value, annotation, Range())
    if annotation in (str, bool) and not isinstance(value, annotation):
        raise ConfigError(f"{key}={value}: must be {_KINDS[annotation]}.")
    return value


def _number(key: str, value: Any, kind: type, bounds: Range) -> Any:
    allowed = _KINDS[kind] if bounds == Range() else f"{_KINDS[kind]} {bounds}"
    accepted = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted) or value not in bounds:
        raise ConfigError(f"{key}={value}: must be {allowed}.")
    return kind(value)


def _choice(key: str, value: Any, choices: tuple[Any, ...]) -> Any:
    # `1 == True` in Python: compare types too.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ConfigError(f"{key}={value}: must be one of {', '.join(map(str, choices))}.")
    return value


def _union(key: str, value: Any, members: tuple[Any, ...]) -> Any:
    if value is None and type(None) in members:
        return None
    problems = []
    for member in members:
        if member is not type(None):
            try:
                return check(key, value, member)
            except ConfigError as problem:
                problems.append(str(problem).removeprefix(f"{key}={value}: must be ").rstrip("."))
    if type(None) in members:
        problems.append("null")
    raise ConfigError(f"{key}={value}: must be {' or '.join(problems)}.")


def check_keys(key: str, present: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuses a key that nothing reads, and a missing one, with the nearest of the allowed ones.

    Raises:
        ConfigError: for the first such key.
    """
    present, allowed = list(present), list(allowed)
    for name in present:
        if name not in allowed:
            raise ConfigError(unknown(join(key, name), name, allowed))
    for name in allowed:
        if name not in present:
            raise ConfigError(f"{join(key, name)}: is missing.")


def unknown(full_key: str, name: str, allowed: Iterable[str]) -> str:
    """Returns the message for a key that does not exist."""
    allowed = sorted(set(allowed))
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    listed = f" Allowed here: {', '.join(allowed)}." if allowed else " Nothing can be set here."
    return f"{full_key}: there is no such key.{hint}{listed}"


def join(key: str, name: str) -> str:
    """Returns the full key of a name in a group; the outermost group has no key."""
    return f"{key}.{name}" if key else name
