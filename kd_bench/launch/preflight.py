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
from kd_bench.launch.help import help_text
from kd_bench.launch.summary import summary
from kd_bench.messages import say, show, warn
from kd_bench.runs.files import storing
from kd_bench.runs.folder import NEW, RunFolder
from kd_bench.surroundings import surroundings


def preflight(arguments: Sequence[str]) -> list[RunConfig]:
    """Returns the runs of the command. The list is empty if Hydra only shows something, or for a search.

    If the command line is wrong, the program ends with status 2 and one message. If all runs are done, it ends with
    status 0.
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
        except UnlistedSweepError:
            return []
        states = [RunFolder(run.directory).state(run) for run in runs]
        to_do = [one for one in states if one.done is None]
        if to_do:
            _require_room(runs)
    if len(runs) > 1 or states != [NEW]:
        say(summary(states))
    if not to_do:
        tell_results(runs, repeat=True)
        sys.exit(0)
    return runs


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Ends the program with one line: with status 2 at a `BenchError`, with 1 at a failure of the surroundings."""
    try:
        yield
    except BenchError as problem:
        _end(str(problem), 2)
    except OSError as problem:
        if (reason := surroundings(problem)) is None:
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
    """Returns 0 if all runs are done, else 1. Lists the missing runs of a sweep."""
    missing = [run for run in runs if RunFolder(run.directory).state(run).done is None]
    if missing and len(runs) > 1:
        listed = "".join(f"\n  {run.directory}" for run in missing)
        warn(f"{len(missing)} of {len(runs)} runs are not done; the same command tries again:{listed}")
    return 1 if missing else 0
