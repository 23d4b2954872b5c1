"""Lists problems of runs, as lines for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from kd_bench.results.bundle import is_bundle
from kd_bench.results.frame import Runs, places
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import read_record


def list_problems(runs: Runs) -> list[str]:
    """Returns a line for each kind of problem, and one for each record that cannot be read."""
    lines = [f"unreadable: {message}" for message in runs.unreadable]
    lines += _listed("failed", places(runs.failed))
    lines += _listed("left out (a newer record of the same run counts)", places(runs.repeats))
    lines += _listed("unfinished (still running, or interrupted: run the same command again)", runs.unfinished)
    return lines


def list_altered(runs: Runs) -> list[str]:
    """Returns a line for each file beside a record that its run did not write like this; reads all files."""
    in_folders = runs.frame[[not is_bundle(Path(source)) for source in runs.frame["source"]]]
    folders = [RunFolder(Path(place)) for place in places(in_folders)]
    paths = (path for folder in folders for path in folder.altered(read_record(folder.record)))
    return [f"altered: {path} (its checksum is not the one in its run's record)" for path in paths]


def _listed(what: str, where: Sequence[str]) -> list[str]:
    """Returns a line that counts the places and names the first few."""
    shown = 3
    more = ", ..." if len(where) > shown else ""
    return [f"{len(where)} {what}: {', '.join(where[:shown])}{more}"] if where else []
