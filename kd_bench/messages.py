"""What the program prints: a message that cannot be printed never ends a run."""

import contextlib
import io
import os
import sys
from typing import Any, TextIO

from kd_bench.errors import StorageError
from kd_bench.system_errors import cannot_be_written

_STDIN, _STDOUT, _STDERR = 0, 1, 2


def say(text: str) -> None:
    """Prints a message to the standard output at once; it is lost if that fails."""
    _print(text, sys.stdout)


def warn(text: str) -> None:
    """Prints a message to the standard error at once; it is lost if that fails."""
    _print(text, sys.stderr)


def one_line(text: str) -> str:
    """Returns a text that others may have written as one line for a terminal, without control characters."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))


def pluralize(number: int, noun: str) -> str:
    """Returns a number of things in words, such as `1 run` or `3 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def show(text: str) -> None:
    """Prints what the command was started for. A reader that has closed the output (head, less) has seen enough.

    Raises:
        StorageError: it cannot be written for another reason, such as a full disk.
    """
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    print(text, flush=True)
    if isinstance(raw, _Lossy) and raw.problem is not None and not isinstance(raw.problem, BrokenPipeError):
        raise StorageError(cannot_be_written("the standard output", raw.problem))


def protect_streams() -> None:
    """Replaces this process's standard streams by streams that never fail, also for Hydra, tqdm and Python's exit.

    The first call counts. Streams that a notebook or a test has put in their place stay.
    """
    _open_closed()
    if sys.stdout is sys.__stdout__:
        sys.stdout = lossy(_STDOUT, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = lossy(_STDERR, sys.stderr)


def lossy(descriptor: int, template: TextIO | None) -> TextIO:
    """Returns a stream that loses what it cannot write or encode.

    Args:
        descriptor: the open file that it writes to, and does not close.
        template: the stream whose encoding and buffering it has; None for a stream that was closed.
    """
    if template is not None:
        with contextlib.suppress(OSError):
            template.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Lossy(descriptor, "w", closefd=False)),
        encoding=getattr(template, "encoding", "utf-8"),
        errors="replace",
        line_buffering=getattr(template, "line_buffering", True),
        write_through=getattr(template, "write_through", False),
    )


class _Lossy(io.FileIO):
    """An open file that never fails.

    Attributes:
        problem: the last error; None if all was written.
    """

    problem: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Writes the data, or loses it."""
        written = None  # also if a pipe that does not block is full
        try:
            written = super().write(data)
        except OSError as problem:
            self.problem = problem
        return len(data) if written is None else written


def _open_closed() -> None:
    """Opens the standard streams that were closed (`>&-`), so that no file gets their number and what is printed."""
    for descriptor in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
            os.set_inheritable(descriptor, True)


def _print(text: str, stream: TextIO | None) -> None:
    # A program that calls `kd_bench.run` keeps its own streams, which can fail.
    with contextlib.suppress(OSError, ValueError):
        print(text, file=stream, flush=True)
