"""A benchmark for knowledge distillation.

Importing the package imports no TensorFlow: `config` and `results` run without it.
"""

import importlib
import os
from typing import Any

__version__ = "0.1.0"
__all__ = ["load_curves", "load_data", "load_predictions", "load_runs", "load_tables", "run"]

_MODULES = {
    "run": "kd_bench.launch.python",
    "load_data": "kd_bench.launch.python",
    "load_runs": "kd_bench.results.frame",
    "load_curves": "kd_bench.results.frame",
    "load_predictions": "kd_bench.export.predictions",
    "load_tables": "kd_bench.results.table",
}

# TensorFlow's start-up messages do not help users; its errors are still shown.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow itself leaves oneDNN off on processors without AVX-512: slower there, and another result on each side.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def __getattr__(name: str) -> Any:
    """Imports a public function when it is first used, so that importing the package costs nothing."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
