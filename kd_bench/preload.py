"""What the server of `own_process` imports before it forks: all that a run may name in its config.

Importing TensorFlow Datasets takes half a second, which each run would spend again.
"""

import gc
import importlib
import pkgutil

from kd_bench.quiet import starting_quietly

with starting_quietly():
    from kd_bench import data, distillers, experiment, networks  # noqa: F401

    for room in (data, distillers, networks):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)

# What is there before the fork stays there: a run's garbage collections need not look through all of TensorFlow.
gc.freeze()
