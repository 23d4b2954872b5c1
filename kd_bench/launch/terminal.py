"""The terminal's lines, kept whole beside a bar: all that a command's processes write passes through the command."""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from tqdm import tqdm

_STDOUT, _STDERR = 1, 2
_PAUSE = 0.1
"""Seconds from one look whether the body is over to the next."""


@contextlib.contextmanager
def gathering() -> Iterator[TextIO]:
    """Passes on, line by line, what this process and those that it starts write to the terminal; gives the terminal.

    A bar of tqdm that is drawn on it makes way for each line. To the processes that are started the standard error is
    no terminal: they draw no bars of their own. What goes into a file stays as it is.
    """
    reader, writer = os.pipe()
    kept = {number: os.dup(number) for number in (_STDOUT, _STDERR) if os.isatty(number)}
    ended = threading.Event()
    with os.fdopen(os.dup(_STDERR), "w", encoding=sys.stderr.encoding, errors="replace") as terminal:
        thread = threading.Thread(target=_pass_on, args=(reader, terminal, ended), daemon=True)
        _turn(dict.fromkeys(kept, writer))
        thread.start()
        try:
            yield terminal
        finally:
            _turn(kept)
            ended.set()
            thread.join()
    for descriptor in (writer, *kept.values()):  # the reader stays: a process that outlives the body may still write
        os.close(descriptor)


def _turn(targets: dict[int, int]) -> None:
    """Makes each of these file descriptors mean another one."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number, target in targets.items():
        os.dup2(target, number)


def _pass_on(reader: int, terminal: TextIO, ended: threading.Event) -> None:
    """Writes every line that comes from the reader once it is whole, and at the end what is left."""
    rest, last = b"", False
    while not last:
        last = ended.is_set()
        while select.select([reader], [], [], 0 if last else _PAUSE)[0]:
            lines, newline, rest = (rest + os.read(reader, 1 << 16)).rpartition(b"\n")
            if newline:
                tqdm.write((lines + newline).decode(errors="replace"), file=terminal, end="")
    tqdm.write(rest.decode(errors="replace"), file=terminal, end="")
