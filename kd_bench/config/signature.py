"""Finds the parameters that a `_target_` accepts, from its source and without importing it.

The config may set the parameters after the `*` of a signature: `def __init__(self, student, teacher, *, beta:
NonNegative)` accepts `method.beta=500` and refuses `method.beat=500` and `method.beta=-1`, before TensorFlow is
imported.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from kd_bench.checks import VOCABULARY, check, check_keys, join
from kd_bench.config.sources import origin, source, statements, tree
from kd_bench.errors import ConfigError

NO_LITERAL = object()
"""The default of a parameter whose default is no literal: it equals no value of a config."""


@dataclass(frozen=True)
class Parameter:
    """A keyword-only parameter: its annotation, and whether the config must give a value."""

    annotation: Any
    required: bool


@dataclass(frozen=True)
class Definition:
    """A statement that defines a name, as a class, a function or an alias, and the module that has it."""

    module: str
    node: Any


def check_parameters(key: str, target: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Checks a config's parameters against the keyword-only parameters of its `_target_`.

    Raises:
        ConfigError: the target does not exist, or a parameter is unknown, missing, of the wrong type or out of range.
    """
    accepted = keyword_only(key, target)
    optional = [name for name, parameter in accepted.items() if not parameter.required]
    check_keys(key, parameters, accepted, optional)
    return {name: check(join(key, name), value, accepted[name].annotation) for name, value in parameters.items()}


def check_names(key: str, target: str, parameters: Mapping[str, Any]) -> None:
    """Checks the names of a config's parameters against all parameters of its `_target_`, a function or class.

    Raises:
        ConfigError: the target does not exist, or a parameter is unknown or missing.
    """
    names: dict[str, bool] = {}
    for function, _ in _signatures(key, target):
        names = _required(function) | names
    check_keys(key, parameters, names, [name for name, required in names.items() if not required])


@cache
def keyword_only(key: str, target: str) -> dict[str, Parameter]:
    """Returns the keyword-only parameters of a function, or of a class's constructor, by name.

    Raises:
        ConfigError: the function or class does not exist.
    """
    accepted: dict[str, Parameter] = {}
    for function, module in _signatures(key, target):
        given = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        own = {one.arg: Parameter(_annotation(key, one, module), required=default is None) for one, default in given}
        accepted = own | accepted
    return accepted


@cache
def defaults(target: str) -> dict[str, Any]:
    """Returns the defaults of the keyword-only parameters of a function, or of a class's constructor, by name.

    A default that is no literal, such as the name of a constant, is `NO_LITERAL`.

    Raises:
        ConfigError: the function or class does not exist.
    """
    found: dict[str, ast.expr | None] = {}
    for function, _ in _signatures("", target):
        names = [argument.arg for argument in function.args.kwonlyargs]
        found = dict(zip(names, function.args.kw_defaults, strict=True)) | found
    return {name: _default(node) for name, node in found.items() if node is not None}


@cache
def class_constant(key: str, target: str, name: str) -> Any:
    """Returns the value of a class attribute that the class or one of its bases sets to a literal.

    Raises:
        ConfigError: the target is not a class, or neither the class nor a base defines the constant.
    """
    definition = _definition(key, target)
    if not isinstance(definition.node, ast.ClassDef):
        raise ConfigError(f"{key}._target_={target}: must be a class, not a function.")
    for found in _with_bases(definition):
        for statement in found.node.body:
            if _assigns(statement, name):
                return _literal(f"{key}._target_={target}: {name}", statement.value)
    raise ConfigError(f"{key}._target_={target}: neither the class nor its bases define {name}.")


def _signatures(key: str, target: str) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Yields the function, or the constructors that a call of the class reaches, and their modules."""
    definition = _definition(key, target)
    if not isinstance(definition.node, ast.ClassDef):
        yield definition.node, definition.module
        return
    for constructor, module in _constructors(definition):
        yield constructor, module
        if constructor.args.kwarg is None:
            return
        # A constructor with `**options` passes further arguments to the next constructor.


def _constructors(definition: Definition) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Yields the constructors of a class and of its bases, in the order in which Python searches them."""
    for found in _with_bases(definition):
        for node in found.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                yield node, found.module


def _required(function: ast.FunctionDef) -> dict[str, bool]:
    """Returns the names of a function's parameters, and whether a call must give them."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args)]
    required = dict.fromkeys(names[: len(names) - len(given.defaults)], True)
    keyword = {one.arg: default is None for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)}
    every = dict.fromkeys(names, False) | required | keyword
    return {name: needed for name, needed in every.items() if name != "self"}


@cache
def _definition(key: str, target: str) -> Definition:
    module, _, name = target.rpartition(".")
    if source(module) is None:
        raise ConfigError(
            f"{key}._target_={target}: there is no Python source of the module {module!r}; give the import path of a "
            "function or class."
        )
    found = _find(module, name, _defines)
    if found is None:
        raise ConfigError(f"{key}._target_={target}: {module} defines no function or class {name!r}.")
    return found


def _find(
    module: str, name: str, is_meant: Callable[[ast.stmt, str], bool], seen: frozenset[str] = frozenset()
) -> Definition | None:
    """Finds the statement that is meant by a name: in this module, or in the module from which the name is imported."""
    if module in seen:
        return None
    for node in statements(tree(module).body):
        if is_meant(node, name):
            return Definition(module, node)
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            assert isinstance(node, ast.ImportFrom)
            if name == (alias.asname or alias.name) or alias.name == "*":
                wanted = name if alias.name == "*" else alias.name
                if found := _find(origin(node, module), wanted, is_meant, seen | {module}):
                    return found
    return None


def _defines(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name


def _with_bases(definition: Definition) -> Iterator[Definition]:
    """Yields a class, and its bases if their source can be found."""
    yield definition
    for base in definition.node.bases:
        named = base.value if isinstance(base, ast.Subscript) else base
        prefix, _, name = ast.unparse(named).rpartition(".")
        module = _imported_module(definition.module, prefix) if prefix else definition.module
        found = _find(module, name, _defines)
        if found is not None and isinstance(found.node, ast.ClassDef):
            yield from _with_bases(found)


def _imported_module(module: str, name: str) -> str:
    """Returns the full name of the module that `module` imports as `name`."""
    for node in statements(tree(module).body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return f"{origin(node, module)}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
    return name


def _assigns(node: ast.stmt, name: str) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(one, ast.Name) and one.id == name for one in targets)


def _default(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (TypeError, ValueError):
        return NO_LITERAL


def _literal(message: str, node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node)  # type: ignore[arg-type]
    except ValueError as problem:
        raise ConfigError(f"{message} must be a plain value.") from problem


def _annotation(key: str, argument: ast.arg, module: str) -> Any:
    node = argument.annotation
    written = node.value if isinstance(node, ast.Constant) else "object" if node is None else ast.unparse(node)
    try:
        return _meaning(str(written), module)
    except Exception as problem:
        raise ConfigError(
            f"{join(key, argument.arg)}: its annotation {written!r} cannot be checked; use {', '.join(VOCABULARY)}."
        ) from problem


def _meaning(written: str, module: str) -> Any:
    """Returns what an annotation means: its names are of the vocabulary, or aliases that the module has or imports."""
    names = {node.id for node in ast.walk(ast.parse(written)) if isinstance(node, ast.Name)} - VOCABULARY.keys()
    found = {name: _find(module, name, _assigns) for name in names}
    aliases = {name: _meaning(ast.unparse(at.node.value), at.module) for name, at in found.items() if at is not None}
    return eval(written, {"__builtins__": {}, "object": object, **VOCABULARY, **aliases})
