"""The line that says what a command finds: how many runs are done, and how many are to do."""

from collections.abc import Sequence

from kd_bench.runs.folder import State


def summary(states: Sequence[State]) -> str:
    """Returns the line for runs in these states."""
    done = [one for one in states if one.done is not None]
    to_do = [one for one in states if one.done is None]
    kinds = {
        "from a checkpoint": sum(one.resumable for one in to_do),
        "failed before": sum(one.failure is not None for one in to_do),
        "damaged": sum(bool(one.damage) for one in to_do),
        "made by other code": sum(one.outdated for one in to_do),
    }
    detail = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    outdated = sum(one.outdated for one in done)
    by_other_code = f" ({outdated} by other code; redo=true repeats them)" if outdated else ""
    runs = f"{len(states)} run{'' if len(states) == 1 else 's'}"
    return f"{runs}: {len(done)} done before{by_other_code}, {len(to_do)} to do{f' ({detail})' if detail else ''}."
