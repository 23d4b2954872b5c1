"""Finds and parses the source of a module without importing it: importing Keras takes seconds."""

import ast
import importlib.machinery
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from kd_bench.errors import ConfigError


@cache
def source(module: str) -> Path | None:
    """Returns a module's file; None if the module does not exist or is not written in Python."""
    top, *below = module.split(".")
    folders = [folder.joinpath(*below) for folder in _folders(top)] if below else []
    files = [file for folder in folders for file in (folder.with_suffix(".py"), folder / "__init__.py")]
    return next((file for file in files or _top_level(top) if file.is_file()), None)


@cache
def tree(module: str) -> ast.Module:
    """Returns a module's syntax tree; an empty one if it has no source.

    Raises:
        ConfigError: the file is not valid Python.
    """
    file = source(module)
    if file is None:
        return ast.Module([], [])
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as problem:
        raise ConfigError(f"{file}, line {problem.lineno}: is not valid Python: {problem.msg}.") from problem
    except ValueError as problem:  # not UTF-8, or with null bytes
        raise ConfigError(f"{file}: is not valid Python: {problem}.") from problem


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields the statements of a module, including those inside `if`, `try` and `with`."""
    for statement in body:
        yield statement
        for inner in ("body", "handlers", "orelse", "finalbody"):
            if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from statements(getattr(statement, inner, ()))


def origin(node: ast.ImportFrom, module: str) -> str:
    """Returns the full name of the module that `node`, a `from ... import` in `module`, imports from."""
    file = source(module)
    package = module if file is not None and file.name == "__init__.py" else module.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


def _folders(top: str) -> list[Path]:
    found = _spec(top)
    return [Path(folder) for folder in (found.submodule_search_locations or ())] if found else []


def _top_level(top: str) -> list[Path]:
    found = _spec(top)
    return [Path(found.origin)] if found and found.origin and found.origin.endswith(".py") else []


def _spec(top: str) -> importlib.machinery.ModuleSpec | None:
    # Only for a top-level name: to find a submodule, Python imports its parent packages.
    try:
        return importlib.util.find_spec(top) if top else None
    except ValueError:  # `__main__`, when it is a script
        return None
