"""Keeps output lines and a progress bar apart in a terminal: the command prints all output of its processes."""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from tqdm import tqdm

from kd_bench.messages import lossy

_STDOUT, _STDERR = 1, 2
_PAUSE = 0.1
"""Seconds between two checks whether the body has ended."""


@contextlib.contextmanager
def gathering() -> Iterator[TextIO]:
    """Prints the output of this process and its child processes line by line; yields the terminal.

    A tqdm bar on this terminal moves down for each line. The child processes draw no bars, because their standard error
    is not a terminal. Output that goes into a file is not changed.
    """
    reader, writer = os.pipe()
    kept = {number: os.dup(number) for number in (_STDOUT, _STDERR) if os.isatty(number)}
    ended = threading.Event()
    copy = os.dup(_STDERR)
    with lossy(copy, sys.stderr) as terminal:
        thread = threading.Thread(target=_pass_on, args=(reader, terminal, ended), daemon=True)
        _turn(dict.fromkeys(kept, writer))
        thread.start()
        try:
            yield terminal
        finally:
            _turn(kept)
            ended.set()
            thread.join()
    for descriptor in (copy, writer, *kept.values()):  # the reader stays open: a process may still write
        os.close(descriptor)


def _turn(targets: dict[int, int]) -> None:
    """Redirects each of these file descriptors to another one."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number, target in targets.items():
        os.dup2(target, number)


def _pass_on(reader: int, terminal: TextIO, ended: threading.Event) -> None:
    """Writes each line from the reader when it is complete, and the rest at the end."""
    rest, last = b"", False
    while not last:
        last = ended.is_set()
        while select.select([reader], [], [], 0 if last else _PAUSE)[0]:
            lines, newline, rest = (rest + os.read(reader, 1 << 16)).rpartition(b"\n")
            if newline:
                tqdm.write((lines + newline).decode(errors="replace"), file=terminal, end="")
    tqdm.write(rest.decode(errors="replace"), file=terminal, end="")
