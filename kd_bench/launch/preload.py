"""Imports, in the server of `processes` and before it forks, all modules that a run's config may name.

Importing TensorFlow Datasets takes half a second, which each run would otherwise spend again.
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

    TensorFlow's C++ part writes before it reads any setting, so the file descriptor itself must be redirected.
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

# Objects from before the fork are kept: a run's garbage collections need not scan all of TensorFlow.
gc.freeze()
