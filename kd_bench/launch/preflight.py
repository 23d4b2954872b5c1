"""Checks a whole command before its first run starts. Lists the runs that are not done at the end."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from kd_bench.config.compose import UnlistedSweepError, jobs
from kd_bench.config.overrides import read_options
from kd_bench.config.schema import RunConfig
from kd_bench.errors import BenchError
from kd_bench.launch.closing import tell_results
from kd_bench.launch.dry_run import dry_run
from kd_bench.launch.first_builds import require_possible
from kd_bench.launch.help import help_text
from kd_bench.launch.refusals import ImpossibleRunsError, by_reason, noted
from kd_bench.launch.summary import summary
from kd_bench.launch.sweep_lists import delete_finished_lists, write_lists
from kd_bench.messages import say, show, warn
from kd_bench.runs.files import storing
from kd_bench.runs.standing import read_standing
from kd_bench.system_errors import system_error


def preflight(arguments: Sequence[str]) -> list[RunConfig]:
    """Returns the runs of the command. The list is empty if Hydra only shows something, or for a search.

    If the command line is wrong, or a run cannot be done, the program ends with status 2 and one message. If all runs
    are done, it ends with status 0.
    """
    with refusing():
        options = read_options(arguments)
        if options.help:
            show(help_text(arguments))
            sys.exit(0)
        if options.hydra_help or options.cfg or options.info or options.shell_completion:
            return []
        if options.dry_run:
            show(dry_run(arguments))
            sys.exit(0)
        try:
            runs = jobs(arguments)
        except UnlistedSweepError as search:
            require_possible(search.ends)
            return []
        standings = [read_standing(run) for run in runs]
        if len(runs) > 1 or standings[0].done or any(standings[0].remarks.values()):
            say(summary(standings))
        if all(one.done is not None for one in standings):
            delete_finished_lists(runs)
            tell_results(runs, repeat=True)
            sys.exit(0)
        require_possible(runs)
        _require_room(runs)
        write_lists(runs)
    return runs


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Ends the program with one message: with status 2 at a `BenchError`, with 1 at a failure of the system."""
    try:
        yield
    except ImpossibleRunsError as problem:
        warn(f"error: {problem}")
        sys.exit(2)
    except BenchError as problem:
        _end(str(problem), 2)
    except OSError as problem:
        if (reason := system_error(problem)) is None:
            raise
        _end(reason, 1)


def _end(reason: str, status: int) -> NoReturn:
    warn(" ".join(["error:", *reason.split()]))
    sys.exit(status)


def _require_room(runs: Sequence[RunConfig]) -> None:
    """Raises `StorageError` if an outputs folder of the runs cannot be written."""
    for outputs in {Path(run.outputs) for run in runs}:
        with storing(outputs):
            outputs.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=outputs).close()


def exit_status(runs: Sequence[RunConfig]) -> int:
    """Returns 0 if all runs are done, else 1. Lists the missing runs of a sweep, the refused ones apart."""
    missing = [run for run in runs if read_standing(run).done is None]
    if len(runs) > 1:
        refused = noted(missing)
        places = {one.run.directory for one in refused}
        others = [f"  {run.directory}" for run in missing if run.directory not in places]
        _list(f"{len(refused)} of {len(runs)} runs were refused; change the command:", [*by_reason(refused)])
        _list(f"{len(others)} of {len(runs)} runs are not done; the same command tries again:", others)
    return 1 if missing else 0


def _list(heading: str, lines: Sequence[str]) -> None:
    if lines:
        warn("\n".join([heading, *lines]))
