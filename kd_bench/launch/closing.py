"""The last line of a command: where its results are, and which command shows them."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from kd_bench.config.schema import RunConfig
from kd_bench.installation import program
from kd_bench.messages import say
from kd_bench.runs.standing import read_standing

_DEFAULT = "outputs"


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
    places = [str(runs[0].directory)] if alone else sorted({run.outputs for run in runs})
    say(f"Results: {accuracy}in {', '.join(places)}; to see them: {_command(runs)}")


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
    by, _, name = str(started).rpartition(" ")
    return f"{by} table" if name == "run" else program("table")
