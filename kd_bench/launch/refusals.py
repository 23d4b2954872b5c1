"""The runs of a command that cannot be done, as texts: each reason once, with its runs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kd_bench.config.schema import RunConfig
from kd_bench.errors import ConfigError

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


def by_reason(refused: Iterable[Refused]) -> Iterator[str]:
    """Yields an indented line for each reason, with the number of its runs, and below it their titles."""
    titles: dict[str, list[str]] = defaultdict(list)
    for run, reason in refused:
        titles[_one_line(reason)].append(run.title)
    for reason, all_titles in titles.items():
        yield f"  {len(all_titles)} run{'' if len(all_titles) == 1 else 's'}: {reason}"
        yield from [f"    {title}" for title in shortened(all_titles)]


def shortened(titles: Iterable[str]) -> list[str]:
    """Returns the titles of a few runs, or the first and the last one of many."""
    named = list(dict.fromkeys(titles))  # the same with two pairs of networks
    return named if len(named) <= _NAMED else [named[0], f"... {named[-1]}"]


def _one_line(text: str) -> str:
    return " ".join(text.split())


_at_their_turn: dict[Path, str] = {}
"""The folder of each run that was refused at its turn -> the reason. Hydra returns nothing of the jobs of a sweep."""


def note(run: RunConfig, reason: str) -> None:
    """Notes that a run of this command was refused at its turn."""
    _at_their_turn[run.directory] = reason.removeprefix(f"{run.title}: ")


def noted(runs: Iterable[RunConfig]) -> list[Refused]:
    """Returns those of the runs that were refused at their turn."""
    return [Refused(run, _at_their_turn[run.directory]) for run in runs if run.directory in _at_their_turn]
