"""Imports all modules that a config can name. The server of `processes` does this before it forks.

Otherwise each run would need half a second to import TensorFlow Datasets.
"""

import gc
import importlib
import pkgutil

from kd_bench.launch.quiet import quietly

with quietly():
    from kd_bench import data, distillers, experiment, networks  # noqa: F401

    for room in (data, distillers, networks):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)

# The garbage collector of a run then ignores these objects: scanning all of TensorFlow takes time.
gc.freeze()
