"""Which code made a run: a fingerprint of the sources that can change its result. Imports none of them.

They are what a run's `_target_`s name, the loop around them, and what these import, as far as it is no library: a
change of one method leaves the fingerprints of the others alone. Comments, docstrings and layout do not count.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

LOOP = "kd_bench.experiment"
"""The module that does a run, whatever the run is."""

_DERIVED = ("kd_bench.results",)
"""What only reads finished runs."""
_LIBRARIES = ("site-packages", "dist-packages")


def fingerprint(targets: Iterable[str]) -> str:
    """Returns 16 hexadecimal digits over the sources that a run depends on.

    Args:
        targets: import paths of the functions and classes that its config names.
    """
    modules = _reached({LOOP, *(target.rpartition(".")[0] for target in targets)})
    digest = hashlib.sha256()
    for module in sorted(modules):
        source = _source(module)
        assert source is not None, "it was reached by its source"
        digest.update(f"{module}\n{_normalised(source)}\n".encode())
    return digest.hexdigest()[:16]


def _reached(modules: set[str]) -> set[str]:
    """Returns the modules and all that they import, directly or not, without libraries."""
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached and _source(module) is not None:
            reached.add(module)
            waiting += [found for found in _imports(module) if _is_own(found)]
    return reached


def _is_own(module: str) -> bool:
    """Returns whether a module belongs to this package or to the user: libraries have versions of their own."""
    if module.split(".")[0] in sys.stdlib_module_names or module.startswith(_DERIVED):
        return False
    source = _source(module)
    return source is not None and (module.startswith("kd_bench") or not set(source.parts) & set(_LIBRARIES))


@cache
def _imports(module: str) -> list[str]:
    """Returns what a module imports anywhere: `from a import b` may mean the module `a.b`."""
    source = _source(module)
    assert source is not None, "only modules with a source are asked"
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return [name for node in ast.walk(tree) for name in _imported(node, package)]


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _source(module: str) -> Path | None:
    """Returns a module's file; None for what is no module, or not written in Python."""
    top, *below = module.split(".")
    # Of a top-level name alone: to find a submodule's, Python would import the packages above it.
    found = importlib.util.find_spec(top) if top else None
    if found is None or found.origin is None:
        return None
    place = Path(found.origin).parent.joinpath(*below) if below else Path(found.origin)
    files = (place.with_suffix(".py"), place / "__init__.py") if below else (place,)
    return next((file for file in files if file.suffix == ".py" and file.is_file()), None)


@cache
def _normalised(source: Path) -> str:
    """Returns a module's code without comments, docstrings and layout."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
