"""Shows the progress of a command while its runs are done: bars in a terminal, lines in a file."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

from tqdm import tqdm

from kd_bench.config.schema import RunConfig
from kd_bench.launch.bars import Bars
from kd_bench.launch.lines import Lines
from kd_bench.launch.sweep import Sweep
from kd_bench.launch.terminal import gathering
from kd_bench.messages import say

_PAUSE = 1.0
"""Minimum seconds between two checks of the runs."""
_REST = 20
"""The pause after a check takes at least this many times as long as the check, for slow file systems."""


@contextlib.contextmanager
def showing_progress(runs: Sequence[RunConfig]) -> Iterator[None]:
    """Shows the progress of these runs while the body does them.

    A sweep has bars if the standard error is a terminal; a single run draws its own bar. Lines are printed if the
    standard output or the standard error goes into a file.
    """
    draws = len(runs) > 1 and sys.stderr.isatty()
    writes = bool(runs) and not (sys.stdout.isatty() and sys.stderr.isatty())
    if not draws and not writes:
        yield
        return
    tqdm.set_lock(threading.RLock())  # the default lock is shared with other processes
    ended = threading.Event()
    with gathering() if draws else contextlib.nullcontext() as terminal:
        thread = threading.Thread(target=_show, args=(Sweep(runs), terminal, writes, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _show(sweep: Sweep, terminal: TextIO | None, writes: bool, ended: threading.Event) -> None:
    """Checks the runs until the end, and shows what has changed."""
    sweep.begin()
    lines = Lines(sweep, time.monotonic())
    with contextlib.closing(Bars(sweep, terminal)) if terminal else contextlib.nullcontext() as drawn:
        pause = 0.0
        while not ended.wait(pause):
            began = time.monotonic()
            sweep.update()
            if drawn:
                drawn.draw()
            for line in lines.due(began) if writes else ():
                say(line)
            pause = max(_PAUSE, _REST * (time.monotonic() - began))
