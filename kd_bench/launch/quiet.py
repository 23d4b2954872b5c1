"""Hides what native libraries write to the standard error."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

_STDERR = 2


@contextlib.contextmanager
def quietly() -> Iterator[None]:
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
