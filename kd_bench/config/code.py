"""Computes the fingerprint of a run's code: a hash of the sources that can change its result. Imports none of them.

These sources are the modules of the run's `_target_`s, the training loop, and everything that they import except
libraries. A change of one method does not change the fingerprints of the other methods. Comments, docstrings
and layout do not count.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from kd_bench.config.sources import origin, source, tree

LOOP = "kd_bench.execution"
"""The module that executes every run."""

_DERIVED = ("kd_bench.results",)
"""Modules that only read finished runs."""
_LIBRARIES = ("site-packages", "dist-packages")


def files(targets: Iterable[str]) -> list[Path]:
    """Returns the files of the sources that a run depends on; arguments and errors as of `fingerprint`."""
    return sorted(file for module in _reached(_roots(targets)) if (file := source(module)) is not None)


def fingerprint(targets: Iterable[str]) -> str:
    """Returns the fingerprint of the sources that a run depends on: 16 hexadecimal digits.

    Args:
        targets: import paths of the functions and classes in the config.

    Raises:
        ConfigError: one of the sources is not valid Python.
    """
    return _fingerprint(_roots(targets))


def _roots(targets: Iterable[str]) -> frozenset[str]:
    return frozenset({LOOP, *(target.rpartition(".")[0] for target in targets)})


@cache
def _fingerprint(modules: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for module in sorted(_reached(modules)):
        digest.update(f"{module}\n{_normalised(module)}\n".encode())
    return digest.hexdigest()[:16]


def _reached(modules: Iterable[str]) -> set[str]:
    """Returns the modules and everything that they import, directly or indirectly, except libraries."""
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached and source(module) is not None:
            reached.add(module)
            waiting += [found for found in _imports(module) if _is_own(found)]
    return reached


def _is_own(module: str) -> bool:
    """Returns whether a module belongs to this package or to the user, not to a library."""
    if module.split(".")[0] in sys.stdlib_module_names or module.startswith(_DERIVED):
        return False
    file = source(module)
    return file is not None and (module.startswith("kd_bench") or not set(file.parts) & set(_LIBRARIES))


@cache
def _imports(module: str) -> list[str]:
    """Returns the names that a module imports: `from a import b` may mean the module `a.b`."""
    return [name for node in ast.walk(tree(module)) for name in _imported(node, module)]


def _imported(node: ast.AST, module: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = origin(node, module)
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _normalised(module: str) -> str:
    """Returns a module's code without comments, docstrings and layout, as the same text in every version of Python."""
    return repr(_plain(tree(module)))


def _plain(node: Any) -> Any:
    """Returns a syntax tree as nested tuples. Python's own `ast.unparse` and `ast.dump` differ between its versions."""
    if isinstance(node, list):
        return tuple(_plain(part) for part in node if not _is_text(part))
    if not isinstance(node, ast.AST):
        return node
    parts = ((name, _plain(value)) for name, value in ast.iter_fields(node))
    # A version that has a new field leaves it empty in older code.
    return (type(node).__name__, *(part for part in parts if part[1] not in (None, ())))


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
