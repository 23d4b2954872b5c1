"""Imports all modules that a config can name. The server of `processes` does this before it forks.

Otherwise each run would need half a second to import TensorFlow Datasets.
"""

import contextlib
import gc
import importlib
import os
import pkgutil
import resource
from collections.abc import Iterator

from kd_bench.launch.quiet import quietly


@contextlib.contextmanager
def _ending_without_memory() -> Iterator[None]:
    """Ends the server without a traceback if the memory is limited, because the command then says why it died.

    An import without memory fails with any error, also with ImportError and SystemError.
    """
    try:
        yield
    except Exception:
        if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
            raise
        os._exit(1)  # what Python prints at its exit would also fail


with quietly(), _ending_without_memory():
    from kd_bench import data, distillers, execution, networks  # noqa: F401

    for room in (data, distillers, networks):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)

# The garbage collector of a run then ignores these objects: scanning all of TensorFlow takes time.
gc.freeze()
