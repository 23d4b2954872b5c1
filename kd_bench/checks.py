"""Checks values against annotations, with clear error messages."""

import difflib
import itertools
import math
import re
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Optional, Union, get_args, get_origin

from kd_bench.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Bounds of a number: `above` and `below` exclude their ends, `least` and `most` include theirs."""

    above: float = -math.inf
    least: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        # A whole number may be larger than any float, which `isfinite` cannot take.
        finite = isinstance(value, int) or math.isfinite(value)
        return finite and self.above < value < self.below and self.least <= value <= self.most

    def __str__(self) -> str:
        low = f"above {self.above:g}" if self.above > -math.inf else f"at least {self.least:g}"
        if self.below < math.inf:
            return f"{low} and below {self.below:g}"
        return low if self.most == math.inf else f"{low} and at most {self.most:.10g}"


@dataclass(frozen=True)
class Rising:
    """Marks a list in which each item must be above the one before it."""


@dataclass(frozen=True)
class Quotient:
    """Marks a number that can be written as a quotient of whole numbers, such as 20/240, to be exact."""

    bounds: Range


@dataclass(frozen=True)
class FolderName:
    """Marks a text that names a folder below `outputs`, or nested folders such as `cifar10_corrupted/fog_1`."""

    longest: ClassVar[int] = 100
    characters: ClassVar[str] = r"\w.:+=@, -"
    part: ClassVar[str] = rf"\w[{characters}]{{0,{longest - 1}}}"

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(f"{self.part}(/{self.part})*", value) is not None

    @classmethod
    def nearest(cls, text: str) -> str:
        """Returns a text as a name, cut and with `_` for signs that it cannot have: `photos (2)` as `photos _2_`."""
        return re.sub(rf"^\W|[^{cls.characters}]", "_", text)[: cls.longest]


@dataclass(frozen=True)
class Hex:
    """Marks a text of hexadecimal digits, of one of these lengths."""

    lengths: tuple[int, ...]

    def __contains__(self, value: str) -> bool:
        return len(value) in self.lengths and re.fullmatch("[0-9a-f]*", value) is not None


@dataclass(frozen=True)
class Printable:
    """Marks a text, or containers of texts, that terminals, documents and pictures show as they are.

    They have no control characters, no line breaks, no marks that turn the direction of writing, and none of the
    markers between which results are written into a document.
    """

    unfit: ClassVar[re.Pattern[str]] = re.compile(
        "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|<!--|-->"
    )

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, dict):
            return all(name in self and item in self for name, item in value.items())
        if isinstance(value, list | tuple):
            return all(item in self for item in value)
        return not isinstance(value, str) or self.unfit.search(value) is None


LARGEST = 1e150
"""The largest number with a fraction that a run accepts: Python can hold its square, which some methods compute."""
LARGEST_INT = 2**63 - 1
"""The largest whole number that a run accepts: tables and other programs hold 64 bits."""
DEPTH = 100
"""The most containers inside each other that a run accepts: nothing that reads them recursively reaches its limit."""
PositiveInt = Annotated[int, Range(least=1)]
Count = Annotated[int, Range(least=1, most=1_000_000)]
"""A number of epochs, or of images in a batch. Products of a few of them fit into TensorFlow's 64-bit integers."""
Threads = Annotated[int, Range(least=1, most=1024)]
"""A number of threads of a process. TensorFlow starts all of them, and hangs if the system does not allow so many."""
NonNegativeInt = Annotated[int, Range(least=0)]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(least=0)]
Share = Annotated[float, Range(above=0, most=1)]
PartialShare = Annotated[float, Range(least=0, below=1)]
ExactShare = Annotated[float | str, Quotient(Range(least=0, below=1))]
"""A share that decides in which step something happens."""
Probability = Annotated[float, Range(least=0, most=1)]
Name = Annotated[str, FolderName()]
RisingShares = Annotated[list[Share], Rising()]
Label = Annotated[str, Printable()]
Digest = Annotated[str, Hex((16,))]
"""The digest of a run or of what it depends on."""

VOCABULARY: dict[str, Any] = {
    "PositiveInt": PositiveInt,
    "Threads": Threads,
    "NonNegativeInt": NonNegativeInt,
    "Positive": Positive,
    "NonNegative": NonNegative,
    "Share": Share,
    "PartialShare": PartialShare,
    "ExactShare": ExactShare,
    "Probability": Probability,
    "RisingShares": RisingShares,
    "Literal": Literal,
    "Optional": Optional,
    "Union": Union,
    "Any": Any,
    "float": float,
    "int": int,
    "str": str,
    "bool": bool,
    "list": list,
    "tuple": tuple,
    "dict": dict,
}
"""The annotations that can check a config, by their names in signatures."""

_TYPE_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def check(key: str, value: Any, annotation: Any) -> Any:
    """Returns `value`; a whole number becomes a float if the annotation is a float.

    Args:
        key: the config key, for the message.
        value: what the config holds.
        annotation: a type, a `Literal`, a list, a tuple, a union, or one of these annotated by a class above.

    Raises:
        ConfigError: the value is not allowed; the message has the key, the value and what is allowed.
    """
    origin, arguments = _parts(annotation)
    if origin is Annotated:
        inner, rule = arguments
        return _RULES[type(rule)](key, value, inner, rule)
    if origin is Literal:
        return _choice(key, value, arguments)
    if origin is list:
        return _list(key, value, arguments[0])
    if origin is tuple:
        return _tuple(key, value, arguments)
    if origin is dict:
        return _mapping(key, value, *arguments)
    if origin in (Union, types.UnionType):
        return _union(key, value, arguments)
    if annotation in (int, float):
        return _number(key, value, annotation, Range())
    if annotation in (str, bool) and not isinstance(value, annotation):
        raise ConfigError(f"{key}={value}: must be {_TYPE_NAMES[annotation]}.")
    return _bounded(key, value)


@cache
def _parts(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    return get_origin(annotation), get_args(annotation)


def _bounded(key: str, value: Any) -> Any:
    """Returns a value of any type. The numbers in it must be finite and not too large, its containers not too deep."""
    if problem := _excess(value):
        raise ConfigError(f"{key}: {problem}.")
    return value


def _excess(value: Any, depth: int = 0) -> str | None:
    if isinstance(value, dict | list | tuple):
        if depth == DEPTH:
            return f"has more than {DEPTH} containers inside each other"
        parts = value.values() if isinstance(value, dict) else value
        return next((problem for part in parts if (problem := _excess(part, depth + 1))), None)
    if isinstance(value, float) and not abs(value) <= LARGEST:  # nor is it a NaN
        return f"has the number {value}; the largest is {LARGEST:g}"
    if isinstance(value, int) and abs(value) > LARGEST_INT:
        return f"has the number {value}; the largest is {LARGEST_INT}"
    return None


def _number(key: str, value: Any, number_type: type, bounds: Range) -> Any:
    allowed = _TYPE_NAMES[number_type] if bounds == Range() else f"{_TYPE_NAMES[number_type]} {bounds}"
    accepted = (int,) if number_type is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted) or value not in bounds:
        raise ConfigError(f"{key}={value}: must be {allowed}.")
    if number_type is float and abs(value) > LARGEST:
        raise ConfigError(f"{key}={value}: must be at most {LARGEST:g}.")
    if number_type is int and abs(value) > LARGEST_INT:
        raise ConfigError(f"{key}={value}: must be at most {LARGEST_INT}.")
    return number_type(value)


def _quotient(key: str, value: Any, _: Any, rule: Quotient) -> float | str:
    bounds = rule.bounds
    if not isinstance(value, str):
        return _number(key, value, float, bounds)
    if not re.fullmatch(r"\d{1,6}/[1-9]\d{0,5}", value) or float(Fraction(value)) not in bounds:
        raise ConfigError(f"{key}={value}: must be a number {bounds}, or a quotient such as 20/240.")
    return value


def _list(key: str, value: Any, item_type: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{key}={value}: must be a list, such as [0.3,0.6].")
    return [check(f"{key}[{index}]", item, item_type) for index, item in enumerate(value)]


def _mapping(key: str, value: Any, key_type: Any, value_type: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{key}={value}: must be a group of keys.")
    return {check(key, name, key_type): check(join(key, name), item, value_type) for name, item in value.items()}


def _rising(key: str, value: Any, list_type: Any, _: Rising) -> list[Any]:
    items = check(key, value, list_type)
    if any(later <= earlier for earlier, later in itertools.pairwise(items)):
        raise ConfigError(f"{key}={value}: must be a list of rising values, such as [0.3,0.6].")
    return items


def _tuple(key: str, value: Any, item_types: tuple[Any, ...]) -> tuple[Any, ...]:
    if item_types[1:] == (...,):
        return tuple(_list(key, value, item_types[0]))
    if not isinstance(value, list | tuple) or len(value) != len(item_types):
        raise ConfigError(f"{key}={value}: must be a list of {len(item_types)} values.")
    return tuple(check(f"{key}[{index}]", value[index], item_type) for index, item_type in enumerate(item_types))


def _name(key: str, value: Any, _: Any, rule: FolderName) -> str:
    if not isinstance(value, str) or value not in rule:
        raise ConfigError(
            f"{key}={value}: must be a name of letters, digits and _.:+=@,- that can be part of the path of a folder "
            f"(at most {rule.longest} between two /); it must not be a complete path."
        )
    return value


def _hex(key: str, value: Any, _: Any, rule: Hex) -> str:
    if not isinstance(value, str) or value not in rule:
        raise ConfigError(f"{key}={value}: must be {' or '.join(map(str, rule.lengths))} hexadecimal digits.")
    return value


def _printable(key: str, value: Any, inner: Any, rule: Printable) -> Any:
    checked = check(key, value, inner)
    if checked not in rule:
        raise ConfigError(f"{key}={value!r}: must have no control characters, no line breaks and no <!-- or -->.")
    return checked


_RULES: dict[type, Callable[[str, Any, Any, Any], Any]] = {
    Range: _number,
    Quotient: _quotient,
    FolderName: _name,
    Rising: _rising,
    Hex: _hex,
    Printable: _printable,
}
"""What checks a value by the rule of its annotation."""


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


def check_keys(key: str, present: Iterable[str], allowed: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Refuses an unknown or missing key, and suggests the most similar allowed one.

    Args:
        key: the key of the group.
        present: the names in the group.
        allowed: the names that the group may have.
        optional: the allowed names that may be missing.

    Raises:
        ConfigError: a key is unknown or missing; the message names the first one.
    """
    present, allowed, optional = list(present), list(allowed), list(optional)
    for name in present:
        if name not in allowed:
            raise ConfigError(unknown(join(key, name), name, allowed))
    for name in allowed:
        if name not in present and name not in optional:
            raise ConfigError(f"{join(key, name)}: is missing.")


def unknown(full_key: str, name: str, allowed: Iterable[str]) -> str:
    """Returns the message for a key that does not exist."""
    allowed = sorted(set(allowed))
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    choices = f" Allowed here: {', '.join(allowed)}." if allowed else " Nothing can be set here."
    return f"{full_key}: there is no such key.{hint}{choices}"


def join(key: str, name: str) -> str:
    """Returns the full key of a name in a group; the key of the outermost group is empty."""
    return f"{key}.{name}" if key else name
