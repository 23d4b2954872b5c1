"""What the server of `processes` imports before it forks: all that a run may name in its config.

Importing TensorFlow Datasets takes half a second, which each run would spend again.
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
    """Holds back what is written to the standard error while the body runs, and shows it if the body fails.

    TensorFlow's C++ part writes before it reads any setting, so only the file descriptor itself can be turned.
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

# What is there before the fork stays there: a run's garbage collections need not look through all of TensorFlow.
gc.freeze()
