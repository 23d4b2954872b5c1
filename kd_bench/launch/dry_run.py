"""The flag --dry-run: lists the runs that a command would do, with estimates. Writes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kd_bench.config.compose import UnlistedSweepError, at_a_time, jobs
from kd_bench.config.overrides import DRY_RUN
from kd_bench.config.schema import RunConfig
from kd_bench.errors import ConfigError
from kd_bench.launch.combinations import missing_data
from kd_bench.launch.duration import about
from kd_bench.launch.estimates import Estimates
from kd_bench.launch.first_builds import require_possible
from kd_bench.launch.summary import summary
from kd_bench.launch.sweep import how_far, with_teachers
from kd_bench.runs.folder import RunFolder, State


@dataclass(frozen=True)
class _ToDo:
    """A run that the command would do.

    Attributes:
        seconds: the estimate; None without a similar run.
        note: what else is to say of it; empty for most runs.
    """

    title: str
    seconds: float | None
    note: str


def dry_run(arguments: Sequence[str]) -> str:
    """Returns the list of the runs that the command line would do.

    Raises:
        ConfigError: a value of any run is wrong, a run cannot be done, or the runs cannot be listed.
    """
    try:
        runs = jobs(arguments)
    except UnlistedSweepError:
        raise ConfigError(f"{DRY_RUN}: a search chooses its runs by their results; they cannot be listed.") from None
    require_possible(runs, prepare=False)
    unknown = [
        f"{dataset.name} is not prepared yet; a run may still be refused because of its images."
        for dataset in missing_data(runs)
    ]
    return "\n".join([listing(runs, at_a_time(arguments)), *unknown])


def listing(asked_for: Sequence[RunConfig], together: int) -> str:
    """Returns the list of the runs that are to do, teachers first, and the time that they will take.

    Args:
        asked_for: the runs of the command.
        together: how many of them the launcher does at a time.
    """
    states = {run.directory: RunFolder(run.directory).state(run) for run in with_teachers(asked_for)}
    own = {run.directory for run in asked_for}
    estimates = Estimates(run.outputs for run in asked_for)
    to_do = [
        _to_do(run, states[run.directory], estimates, is_own=run.directory in own)
        for run in with_teachers(asked_for)
        if states[run.directory].done is None
    ]
    listed = [f"  {_time(one.seconds):<12} {one.title}{one.note}" for one in to_do]
    return "\n".join([summary([states[run.directory] for run in asked_for]), *listed, *_total(to_do, together)])


def _to_do(run: RunConfig, state: State, estimates: Estimates, *, is_own: bool) -> _ToDo:
    seconds, progress = estimates.seconds(run), how_far(run)
    if seconds is not None and progress is not None:
        seconds *= 1 - progress.share
    notes = {
        "the teacher of other runs": not is_own,
        "goes on from a checkpoint": state.resumable,
        "failed before": state.failure is not None,
        "damaged": bool(state.damage),
        "made by other code": state.outdated,
    }
    note = ", ".join(name for name, holds in notes.items() if holds)
    return _ToDo(run.title, seconds, f" ({note})" if note else "")


def _total(to_do: Sequence[_ToDo], together: int) -> Iterator[str]:
    """Yields the line with the time of all runs together."""
    known = [one.seconds for one in to_do if one.seconds is not None]
    if known:
        together = min(together, len(to_do))
        several = f" with {together} runs at a time" if together > 1 else ""
        unknown = len(to_do) - len(known)
        without = f", without {unknown} of unknown length" if unknown else ""
        yield f"All of them: {about(sum(known) / together)}{several}{without}."


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else about(seconds)
