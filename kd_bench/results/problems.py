"""What is wrong in an outputs folder, in lines for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from kd_bench.results.outputs import Outputs
from kd_bench.runs.record import altered_files


def list_problems(outputs: Outputs) -> list[str]:
    """Returns a line for each kind of problem; a record that cannot be read has one of its own."""
    lines = [f"unreadable: {message}" for message in outputs.unreadable]
    lines += _listed("failed", [run.directory for run in outputs.failed])
    lines += _listed("left out, repeating another's fraction and seed", [run.directory for run in outputs.repeats])
    lines += _listed("unfinished (going on, or interrupted: run the same command again)", outputs.unfinished)
    return lines


def verify_files(outputs: Outputs) -> list[str]:
    """Returns a line for each file beside a record that is not what its run left there; reads all of them."""
    altered = (path for run in outputs.finished for path in altered_files(Path(run.directory), run.record))
    return [f"altered: {path} (its checksum is not the one in its run's record)" for path in altered]


def _listed(what: str, directories: Sequence[str]) -> list[str]:
    """Returns a line that counts the directories and names the first few."""
    shown = 3
    more = ", ..." if len(directories) > shown else ""
    return [f"{len(directories)} {what}: {', '.join(directories[:shown])}{more}"] if directories else []
