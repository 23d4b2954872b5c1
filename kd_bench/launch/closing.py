"""The last lines of a command: which runs are missing, where its results are, and which command shows them."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kd_bench.config.schema import RunConfig
from kd_bench.installation import program
from kd_bench.launch.processes import ExitStatus
from kd_bench.launch.refusals import Refused, by_reason
from kd_bench.launch.sweep_lists import delete_finished_lists
from kd_bench.messages import say, warn
from kd_bench.runs.standing import read_standing

_DEFAULT = "outputs"


def close_runs(runs: Sequence[RunConfig], refused: Sequence[Refused] = ()) -> None:
    """Says what became of the runs of a command. Ends the program with status 1 if some are not done.

    Args:
        runs: all of the command. Those of a sweep that are not done are listed.
        refused: those that were refused at their turn; they are listed apart.
    """
    missing = {run.directory: run for run in runs if read_standing(run).done is None}
    refused = [one for one in refused if one.run.directory in missing]
    if len(runs) > 1:
        others = [f"  {folder}" for folder in missing if folder not in {one.run.directory for one in refused}]
        _list(f"{len(refused)} of {len(runs)} runs were refused; change the command:", [*by_reason(refused)])
        _list(f"{len(others)} of {len(runs)} runs are not done; the same command tries again:", others)
    delete_finished_lists(runs, refused)
    tell_results(runs)
    if missing:
        sys.exit(ExitStatus.FAILED)


def _list(heading: str, lines: Sequence[str]) -> None:
    if lines:
        warn("\n".join([heading, *lines]))


def tell_results(runs: Sequence[RunConfig], repeat: bool = False) -> None:
    """Says where the results of runs are and how to see them; nothing if no run is done.

    Args:
        runs: all runs of the command.
        repeat: whether they were done before, so that no run has printed its accuracy.
    """
    if repeat and any(run.redo for run in runs):
        say("redo=true repeats only runs of other code than this; to repeat another run, delete its folder.")
    done = next(filter(None, (read_standing(run).done for run in runs)), None)
    if done is None:
        return
    alone = len(runs) == 1
    accuracy = f"{done.scores.last_accuracy:.2%}, " if alone and repeat else ""
    folders = [str(runs[0].directory)] if alone else sorted({run.outputs for run in runs})
    say(f"Results: {accuracy}in {', '.join(folders)}; to see them: {_command(runs)}")


def _command(runs: Sequence[RunConfig]) -> str:
    """Returns the command that shows the runs. Tables do not show runs that were evaluated on held-out images."""
    sources = sorted({run.outputs for run in runs})
    chosen = [] if sources == [_DEFAULT] else ["--outputs", *sources]
    listed = ["--runs"] if all(run.validation for run in runs) else []
    return " ".join([_program(Path(sys.argv[0])), *map(shlex.quote, chosen), *listed])


def _program(started: Path) -> str:
    """Returns how to start the command for tables, as this command was started: as a script, or as `kd-bench run`."""
    if started.suffix == ".py":
        return f"python {shlex.quote(str(started.with_name('aggregate.py')))}"
    program_name, _, name = str(started).rpartition(" ")
    return f"{program_name} table" if name == "run" else program("table")
