"""Imports all modules that a config can name. The server of `processes` does this before it forks.

Otherwise each run would need half a second to import TensorFlow Datasets.
"""

import contextlib
import gc
import importlib
import os
import pkgutil
import sys
import tempfile
from collections.abc import Iterator

_STDERR = 2


@contextlib.contextmanager
def _starting_quietly() -> Iterator[None]:
    """Hides the standard error while the body runs, and shows it if the body fails.

    TensorFlow's C++ code writes before it reads any setting, so the file descriptor itself is redirected.
    """
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)


with _starting_quietly():
    from kd_bench import data, distillers, experiment, networks  # noqa: F401

    for room in (data, distillers, networks):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)

# The garbage collector of a run then ignores these objects: scanning all of TensorFlow takes time.
gc.freeze()
