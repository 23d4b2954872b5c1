"""The flag --dry-run: lists the runs that a command would do, with estimates. Writes nothing."""

from collections.abc import Iterator, Sequence

from kd_bench.config.schema import RunConfig
from kd_bench.launch.combinations import missing_data
from kd_bench.launch.duration import format_duration
from kd_bench.launch.estimates import Estimates
from kd_bench.launch.first_builds import require_possible
from kd_bench.launch.summary import summary
from kd_bench.launch.sweep import with_teachers
from kd_bench.runs.standing import Standing, read_standing


def dry_run(runs: Sequence[RunConfig], together: int) -> str:
    """Returns the list of the runs that a command would do.

    Args:
        runs: of the command.
        together: how many of them the launcher does at a time.

    Raises:
        ImpossibleRunsError: some runs cannot be done.
    """
    require_possible(runs, prepare=False)
    unknown = [
        f"{dataset.name} is not prepared yet; a run may still be refused because of its images."
        for dataset in missing_data(runs)
    ]
    return "\n".join([listing(runs, together), *unknown])


def listing(requested: Sequence[RunConfig], together: int) -> str:
    """Returns the list of the runs that are to do, teachers first, and the time that they will take.

    Args:
        requested: the runs of the command.
        together: how many of them the launcher does at a time.
    """
    runs = {run.directory: run for run in with_teachers(requested)}
    standings = {path: read_standing(run) for path, run in runs.items()}
    own = {run.directory: standings[run.directory] for run in requested}
    estimates = Estimates(run.outputs for run in requested)
    to_do = {path: one for path, one in standings.items() if one.done is None}
    seconds = {path: _seconds_left(estimates.seconds(runs[path]), one) for path, one in to_do.items()}
    lines = [_line(one, seconds[path], is_own=path in own) for path, one in to_do.items()]
    return "\n".join([summary([*own.values()]), *lines, *_total([*seconds.values()], together)])


def _line(standing: Standing, seconds: float | None, *, is_own: bool) -> str:
    remarks = {"the teacher of other runs": not is_own} | standing.remarks
    note = ", ".join(remark for remark, holds in remarks.items() if holds)
    time = "unknown" if seconds is None else format_duration(seconds)
    return f"  {time:<12} {standing.title}{f' ({note})' if note else ''}"


def _seconds_left(seconds: float | None, standing: Standing) -> float | None:
    return None if seconds is None else seconds * (1 - standing.share)


def _total(seconds: Sequence[float | None], together: int) -> Iterator[str]:
    """Yields the line with the time of all runs together."""
    known = [one for one in seconds if one is not None]
    if known:
        together = min(together, len(seconds))
        several = f" with {together} runs at a time" if together > 1 else ""
        unknown = len(seconds) - len(known)
        without = f", without {unknown} of unknown length" if unknown else ""
        yield f"All of them: {format_duration(sum(known) / together)}{several}{without}."
