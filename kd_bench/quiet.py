"""Keeps what TensorFlow prints while it starts, which names nothing a user could act upon, off the screen."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

_STDERR = 2


@contextlib.contextmanager
def starting_quietly() -> Iterator[None]:
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
