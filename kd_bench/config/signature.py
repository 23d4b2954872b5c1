"""What a `_target_` accepts, read from its source without importing it.

What stands after the `*` of a signature is what the config may set: `def __init__(self, student, teacher, *, beta:
NonNegative)` admits `method.beta=500` and refuses `method.beat=500` and `method.beta=-1`, before TensorFlow is there.
"""

import ast
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_bench.checks import VOCABULARY, check, check_keys, join
from kd_bench.errors import ConfigError


def check_parameters(key: str, target: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the parameters that a config gives to its `_target_` against the target's keyword-only parameters.

    Raises:
        ConfigError: the target does not exist, or a parameter is unknown, missing, of the wrong type or out of range.
    """
    annotations = keyword_only(key, target)
    check_keys(key, parameters, annotations)
    return {name: check(join(key, name), value, annotations[name]) for name, value in parameters.items()}


def keyword_only(key: str, target: str) -> dict[str, Any]:
    """Returns name -> annotation of a function's, or a class's constructor's, keyword-only parameters.

    Reads the source, so that nothing heavy is imported.

    Raises:
        ConfigError: no such function or class.
    """
    module, definition = _definition(key, target)
    if isinstance(definition, ast.ClassDef):
        constructors = [
            node for node in definition.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        ]
        if not constructors:
            base = _base(target, module, definition)
            return {} if base is None else keyword_only(key, base)
        definition = constructors[0]
    return {argument.arg: _annotation(argument) for argument in definition.args.kwonlyargs}


def _definition(key: str, target: str) -> tuple[ast.Module, ast.ClassDef | ast.FunctionDef]:
    module, _, name = str(target).rpartition(".")
    try:
        found = importlib.util.find_spec(module) if module else None
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None:
        raise ConfigError(f"{key}._target_={target}: there is no module {module!r}; give an import path.")
    tree = ast.parse(Path(found.origin).read_text())
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return tree, node
    raise ConfigError(f"{key}._target_={target}: {module} defines no {name!r}.")


def _base(target: str, module: ast.Module, definition: ast.ClassDef) -> str | None:
    """Returns the import path of a class's first base, if the module defines it or imports it by name."""
    if not definition.bases or not isinstance(definition.bases[0], ast.Name):
        return None
    name = definition.bases[0].id
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            return f"{node.module}.{name}"
    return f"{target.rpartition('.')[0]}.{name}"


def _annotation(argument: ast.arg) -> Any:
    source = "object" if argument.annotation is None else ast.unparse(argument.annotation)
    try:
        return eval(source, {**VOCABULARY, "object": object})
    except NameError as problem:
        raise ConfigError(
            f"{argument.arg}: its annotation {source!r} is not in kd_bench.checks.VOCABULARY."
        ) from problem
