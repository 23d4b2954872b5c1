"""The packages that a format needs."""

import importlib.util
from importlib import metadata

from kd_bench.errors import BenchError

_NEEDED = {"onnx": ("tf2onnx", "onnxruntime")}
"""Format -> the packages of the extra `export` that it needs. TensorFlow has all that the others need."""


def require_packages(form: str) -> None:
    """Checks that a format's packages are installed.

    Raises:
        BenchError: one is missing.
    """
    missing = [name for name in _NEEDED.get(form, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise BenchError(f"{form}: needs {' and '.join(missing)}; install the extra export: pip install '.[export]'.")


def versions(form: str) -> dict[str, str]:
    """Returns the versions of the packages that write a format and execute it."""
    return {name: metadata.version(name) for name in ("keras", "tensorflow", *_NEEDED.get(form, ()))}
