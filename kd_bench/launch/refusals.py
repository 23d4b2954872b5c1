"""Why a command, or some of its runs, cannot be done, as texts: each reason once, with its runs."""

import contextlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError, ConfigError
from kd_bench.launch.processes import ExitStatus
from kd_bench.messages import pluralize, warn
from kd_bench.system_errors import system_error

_NAMED = 3
"""So many runs are named; of more, the first and the last one."""


class Refused(NamedTuple):
    """A run that cannot be done, and why."""

    run: RunConfig
    reason: str


class ImpossibleRunsError(ConfigError):
    """Runs of a command cannot be done, so that none was started."""

    def __init__(self, refused: Sequence[Refused], count: int) -> None:
        """Makes the message: one line for the only run of a command, else one for each reason.

        Args:
            refused: the runs that cannot be done.
            count: how many runs the command has.
        """
        if count == 1:
            super().__init__("".join(f"{run.title}: {_one_line(reason)}" for run, reason in refused))
            return
        first = f"{len(refused)} of {count} runs cannot be done, so that none was started; change the command:"
        super().__init__("\n".join([first, *by_reason(refused)]))


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Ends the program with one message: with status 2 at a `BenchError`, with 1 at a failure of the system."""
    try:
        yield
    except BenchError as problem:
        text = str(problem)
        _end(text if isinstance(problem, ImpossibleRunsError) else _one_line(text), ExitStatus.REFUSED)
    except OSError as problem:
        if (reason := system_error(problem)) is None:
            raise
        _end(_one_line(reason), ExitStatus.FAILED)


def _end(reason: str, status: ExitStatus) -> NoReturn:
    warn(f"error: {reason}")
    sys.exit(status)


def by_reason(refused: Iterable[Refused]) -> Iterator[str]:
    """Yields an indented line for each reason, with the number of its runs, and below it their titles."""
    titles: dict[str, list[str]] = defaultdict(list)
    for run, reason in refused:
        titles[_one_line(reason)].append(run.title)
    for reason, all_titles in titles.items():
        yield f"  {pluralize(len(all_titles), 'run')}: {reason}"
        yield from [f"    {title}" for title in shortened(all_titles)]


def shortened(titles: Iterable[str]) -> list[str]:
    """Returns the titles of a few runs, or the first and the last one of many."""
    named = list(dict.fromkeys(titles))  # the same with two pairs of networks
    return named if len(named) <= _NAMED else [named[0], f"... {named[-1]}"]


def _one_line(text: str) -> str:
    return " ".join(text.split())
