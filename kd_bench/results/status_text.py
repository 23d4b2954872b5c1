"""The status of runs as text for a terminal."""

import textwrap
from collections.abc import Iterator

from tqdm import tqdm

from kd_bench.messages import one_line
from kd_bench.results.status import Status, Unfinished

_INDENT = "    "


def render_status(status: Status, width: int = 80) -> str:
    """Returns how many runs are done, and the status of each other run, in lines of at most `width` characters."""
    return "\n".join(line for text in _lines(status) for line in _wrapped(text, width))


def _lines(status: Status) -> Iterator[str]:
    counts = {
        "running": len(status.running),
        "interrupted": len(status.interrupted),
        "failed": len(status.failed),
    }
    yield ", ".join([f"{status.done} done", *(f"{count} {name}" for name, count in counts.items() if count)])
    if status.running:
        yield from ["", "running:"]
        for run in sorted(status.running, key=_left):
            yield from (f"  {run.title}", _INDENT + _pace(run))
    if status.interrupted:
        yield from ["", "interrupted; the same command goes on:"]
        for run in sorted(status.interrupted, key=lambda run: run.title):
            yield from (f"  {run.title}", _INDENT + _standing(run))
    if status.failed:
        yield from ["", "failed; the same command tries again:"]
        for title, reason in sorted(status.failed):
            yield from (f"  {title}", _INDENT + one_line(reason))


def _left(run: Unfinished) -> float:
    return float("inf") if run.seconds_left is None else run.seconds_left


def _pace(run: Unfinished) -> str:
    by = f"{run.holder.host}:{run.holder.process}" if run.holder else "?"
    if run.progress is None or run.seconds_left is None:
        return f"{'in its first epoch':<32}{_clock(run.silent):>9} since start   {by}"
    pace = f"{run.progress.seconds:.2f} s/epoch"
    return f"{_epoch(run):<20}{pace:>15}{_clock(run.seconds_left):>9} left   {by}"


def _standing(run: Unfinished) -> str:
    where = "from stage {}, step {}".format(*run.checkpoint) if run.checkpoint else "from its start: no checkpoint"
    return f"{_epoch(run):<20}   goes on {where}"


def _epoch(run: Unfinished) -> str:
    at = run.progress
    return "no epoch done" if at is None else f"{at.stage} {at.epoch}/{at.epochs}"


def _clock(seconds: float) -> str:
    return tqdm.format_interval(seconds)


def _wrapped(text: str, width: int) -> list[str]:
    # Paths stay on one line, so that they can be copied.
    wrapper = textwrap.TextWrapper(width, subsequent_indent=_INDENT, break_on_hyphens=False, break_long_words=False)
    return wrapper.wrap(text) or [""]
