"""The command `status`: which runs are done, running, interrupted, failed or to do. Writes nothing."""

import argparse
import contextlib
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from kd_bench.errors import BenchError, DamageError
from kd_bench.launch.refusals import shortened
from kd_bench.launch.sweep_lists import read_lists
from kd_bench.messages import one_line, protect_streams, show, warn
from kd_bench.runs.folder import RunFolder, find_runs, run_name
from kd_bench.runs.progress import Progress
from kd_bench.runs.standing import Standing, State, find_standing

_HEADINGS = {
    State.RUNNING: "running:",
    State.INTERRUPTED: "interrupted; the same command goes on:",
    State.FAILED: "failed; the same command tries again:",
}
_INDENT = "    "


class Row(NamedTuple):
    """What the status shows of a run that is running, interrupted or failed.

    Attributes:
        state: one of these.
        seconds_left: until the end of the training of a running run; infinite if that is not known yet.
        title: a short description; the run's folder, if the run has not written its config yet.
        detail: a second line.
    """

    state: State
    seconds_left: float
    title: str
    detail: str


@dataclass
class Status:
    """All runs of some outputs folders, each once.

    Attributes:
        done: the number of runs that are done.
        rows: of the runs that are running, interrupted or failed.
        to_do: the titles of the other runs that a sweep has listed.
        problems: a message for each file that cannot be used.
    """

    done: int = 0
    rows: list[Row] = field(default_factory=list)
    to_do: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the status of the runs in some outputs folders; returns 1 if a file cannot be used."""
    protect_streams()
    parser = argparse.ArgumentParser(description="List the runs: done, running, interrupted, failed, to do.")
    parser.add_argument(
        "--outputs", type=Path, nargs="+", action="extend", metavar="FOLDER", help="folders of runs; default: outputs"
    )
    outputs = parser.parse_args(arguments).outputs or [Path("outputs")]  # a default would be extended, too
    try:
        status = read_status(outputs)
        for problem in status.problems:
            warn(one_line(f"unreadable: {problem}"))
        show(render_status(status, shutil.get_terminal_size().columns))
    except (OSError, BenchError) as error:
        warn(one_line(f"{Path(sys.argv[0]).name}: {error}"))
        return 1
    return 1 if status.problems else 0


def read_status(outputs: Iterable[Path]) -> Status:
    """Returns the status of the runs in these folders. A run in several folders counts once, where it is furthest.

    Raises:
        BenchError: A folder does not exist, or its file system has no locks.
    """
    status, titles = Status(), dict[Path, str]()
    best: dict[tuple[str, ...], Standing] = {}
    for standing in _standings(outputs, titles, status.problems):
        name = run_name(standing.folder.path)
        if name not in best or standing.state < best[name].state:
            best[name] = standing
    for standing in best.values():
        if standing.state is State.DONE:
            status.done += 1
        elif standing.state in _HEADINGS:
            status.rows.append(_row(standing, status.problems))
        elif standing.state is State.NEW and standing.folder.path in titles:
            status.to_do.append(titles[standing.folder.path])
    return status


def _standings(outputs: Iterable[Path], titles: dict[Path, str], problems: list[str]) -> Iterator[Standing]:
    """Yields the standing of each run that has begun or that a sweep has listed; `titles` gets those of listed runs."""
    begun: list[RunFolder] = []
    for place in outputs:
        if not place.is_dir():
            raise BenchError(f"{place}: is not a folder; the status needs outputs folders")
        begun += [folder for folder, _ in find_runs(place, problems)]
        for listed in read_lists(place, problems).values():
            titles.update(listed)
    others = sorted(titles.keys() - {folder.path for folder in begun})
    for folder in [*begun, *map(RunFolder, others)]:
        try:
            standing = find_standing(folder)
        except OSError as problem:
            problems.append(f"{problem.filename or folder}: cannot be read ({problem.strerror})")
            continue
        if standing.state is State.DAMAGED:
            problems.extend(standing.damage)
        yield standing


def _row(standing: Standing, problems: list[str]) -> Row:
    if standing.state is State.FAILED:
        return Row(standing.state, 0.0, standing.title, one_line(standing.failure or ""))
    title, progress = str(standing.folder), None
    try:
        title = standing.title
        progress = standing.progress
    except DamageError as problem:
        problems.append(str(problem))
    if standing.state is State.INTERRUPTED:
        return Row(standing.state, 0.0, title, _resumption(standing, progress))
    return _running(standing, title, progress)


def _running(standing: Standing, title: str, progress: Progress | None) -> Row:
    by = f"{standing.holder.host}:{standing.holder.process}" if standing.holder else "?"
    silent = _seconds_since_last_write(standing.folder)
    if progress is None:
        detail = f"{'in its first epoch':<32}{tqdm.format_interval(silent):>9} since start   {by}"
        return Row(standing.state, float("inf"), title, detail)
    left = max(progress.seconds_left - min(silent, progress.seconds), 0)
    pace = f"{progress.seconds:.2f} s/epoch"
    detail = f"{_epoch(progress):<20}{pace:>15}{tqdm.format_interval(left):>9} left   {by}"
    return Row(standing.state, left, title, detail)


def _resumption(standing: Standing, progress: Progress | None) -> str:
    start = "from its start: no checkpoint"
    where = "from stage {}, step {}".format(*standing.checkpoint) if standing.checkpoint else start
    return f"{_epoch(progress):<20}   goes on {where}"


def _epoch(progress: Progress | None) -> str:
    return "no epoch done" if progress is None else f"{progress.stage} {progress.epoch}/{progress.epochs}"


def _seconds_since_last_write(folder: RunFolder) -> float:
    """Returns the seconds since a run's process last wrote metrics, or since it began."""
    written = [0.0]
    for path in (folder.metrics, folder.holder):
        with contextlib.suppress(OSError):  # it is not there, or not any more
            written.append(path.stat().st_mtime)
    return max(time.time() - max(written), 0.0)


def render_status(status: Status, width: int = 80) -> str:
    """Returns the number of runs in each state, and each unfinished run, in lines of at most `width` characters."""
    # Paths stay on one line, so that they can be copied.
    wrapper = textwrap.TextWrapper(width, subsequent_indent=_INDENT, break_on_hyphens=False, break_long_words=False)
    return "\n".join(line for text in _lines(status) for line in wrapper.wrap(text) or [""])


def _lines(status: Status) -> Iterator[str]:
    rows = {state: sorted(row for row in status.rows if row.state is state) for state in _HEADINGS}
    counts = {state.name.lower(): len(rows[state]) for state in _HEADINGS} | {"to do": len(status.to_do)}
    yield ", ".join([f"{status.done} done", *(f"{count} {name}" for name, count in counts.items() if count)])
    for state, heading in _HEADINGS.items():
        yield from ["", heading] if rows[state] else []
        for row in rows[state]:
            yield from (f"  {row.title}", _INDENT + row.detail)
    yield from ["", "to do; the same command does them:"] if status.to_do else []
    yield from (f"  {title}" for title in shortened(sorted(status.to_do)))
