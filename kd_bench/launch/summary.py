"""The line that says what a command finds: how many runs are done, and how many are to do."""

from collections import Counter
from collections.abc import Sequence

from kd_bench.messages import pluralize
from kd_bench.runs.standing import Standing


def summary(standings: Sequence[Standing]) -> str:
    """Returns the line for runs with these standings."""
    done = [one for one in standings if one.done is not None]
    remarks: Counter[str] = Counter()
    for one in standings:
        if one.done is None:
            remarks.update({remark: int(holds) for remark, holds in one.remarks.items()})
    detail = ", ".join(f"{count} {remark}" for remark, count in remarks.items() if count)
    outdated = sum(one.outdated for one in done)
    by_other_code = f" ({outdated} by other code; redo=true repeats them)" if outdated else ""
    to_do = f"{len(standings) - len(done)} to do{f' ({detail})' if detail else ''}"
    return f"{pluralize(len(standings), 'run')}: {len(done)} done before{by_other_code}, {to_do}."
