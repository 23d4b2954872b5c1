"""The lines below a table: what a reader must know to trust it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from kd_bench.messages import one_line, pluralize
from kd_bench.results.frame import run_paths
from kd_bench.results.marks import mark_lines
from kd_bench.results.rows import STUDENT, TEACHER, setting_text
from kd_bench.results.significance import LEVEL
from kd_bench.results.table import BETTER, WORSE, Table, fraction_name
from kd_bench.runs.record import DONE, FAILED


def caption_lines(table: Table) -> list[str]:
    """Returns the explanations of the table and a list of what is missing from it, one line per paragraph."""
    runs = table.runs
    return [
        "A cell is the last epoch's test accuracy in %, mean ± sample standard deviation over seeds (number of seeds).",
        *_common(table),
        *mark_lines(table),
        *([_RANK] if table.ranks else []),
        *_tuned(table),
        *_ours(table),
        _join(_budget(table), _images(table), _teacher(table), _precision(runs), _revision(runs)),
        *_incomplete(table),
    ]


def paper_caption(table: Table, counts: bool) -> str:
    """Returns the short caption of a table in LaTeX, which has the best of each column in bold.

    Args:
        table: The table.
        counts: Whether each cell has its number of seeds.
    """
    number = "seeds (number of seeds)" if counts else f"{seed_counts(table)} seeds"
    marks = (
        f"; `{BETTER}` better, `{WORSE}` worse than the {table.reference}" if table.cells["test"].notna().any() else ""
    )
    return f"Test accuracy in %, mean ± standard deviation over {number}; the best in bold{marks}."


def seed_counts(table: Table) -> str:
    """Returns how many seeds the cells of a table have, such as `3` or `1 to 3`; `no` if none has a result."""
    counts = table.cells.loc[table.cells["n"] > 0, "n"]
    return _span(str(counts.min()), str(counts.max())) if len(counts) else "no"


def gains_caption_lines(table: Table) -> list[str]:
    """Returns the explanations of the table of gains."""
    return [
        f"A cell is the gain in accuracy over the {table.reference} with the same settings, in points: the difference "
        f"of the means over seeds [simultaneous {100 * (1 - LEVEL):g} % confidence interval] (number of seeds).",
        *_common(table),
        *mark_lines(table),
        *_incomplete(table),
    ]


def _common(table: Table) -> list[str]:
    """Names the settings that all students share and that are not those of their preset."""
    texts = [f"`{setting_text(key, value)}`" for key, value in sorted(table.settings.items())]
    return [f"All students have {', '.join(texts)}."] if texts else []


_RANK = (
    f"Rank is the mean rank by accuracy over the columns (number of columns); 1 is best. A method has a rank if it has "
    f"the hyper-parameters of its preset and a result in every column of the {STUDENT}."
)


def _tuned(table: Table) -> list[str]:
    """Says how the values of tuned rows were chosen."""
    tuned = {row.name: row.trials for row in table.rows if row.trials}
    if not tuned:
        return []
    counts = sorted(set(tuned.values()))
    trials = "; ".join(f"{count} for {row}" for row, count in tuned.items()) if len(counts) > 1 else f"{counts[0]} each"
    return [
        f"The values of tuned rows were chosen in each column by trials on held-out training images ({trials}). They "
        "are compared and ranked among rows of equally many trials."
    ]


def _ours(table: Table) -> list[str]:
    """Names the used values of hyper-parameters that are not those of a method's authors."""
    values: dict[str, dict[str, set[Any]]] = {}
    for row, effective, config in table.runs[["row", "effective", "config"]].itertuples(index=False):
        given = config["method"]
        for name, value in ((key.removeprefix("method."), value) for key, value in effective.items()):
            # Earlier versions recorded each number that a method could have scaled.
            if not (isinstance(value, float) and value == given.get(name)):
                values.setdefault(row, {}).setdefault(name, set()).add(value)
    rows = [f"{row} ({_settings(used)})" for row, used in values.items()]
    return [f"Values that are ours, not the authors' (docs/methods/ours.md): {', '.join(rows)}."] if rows else []


def _settings(values: Mapping[str, set[Any]]) -> str:
    """Returns settings such as `negatives=1437 to 5000, connector=relu`."""
    ends = {name: (_number(min(used)), _number(max(used))) for name, used in values.items()}
    return ", ".join(f"{name}={_span(*both)}" for name, both in ends.items())


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _budget(table: Table) -> str:
    """Names what is equal at every fraction. Teachers do not count: they are always trained on the full data."""
    budgets = sorted({row.facts["budget"] for row in table.rows if row.label != TEACHER})
    equal = f"Budget: equal {' or '.join(budgets)} at every fraction; " if budgets else ""
    return f"{equal}Steps has the steps of each stage."


def _images(table: Table) -> str:
    """Names the number of training images at each fraction."""
    counts = table.runs.dropna(subset="train_images").groupby("fraction")["train_images"].agg(["min", "max"])
    counted = [
        f"{_span(str(low), str(high))} ({fraction_name(fraction)})" for fraction, low, high in counts.itertuples()
    ]
    return f"Training images: {', '.join(reversed(counted))}." if counted else ""


def _teacher(table: Table) -> str:
    """Names the teachers that the students learned from, and how many of the row's teachers they are."""
    runs = table.runs.dropna(subset="teacher_accuracy").drop_duplicates(["teacher_digest", "teacher_accuracy"])
    if runs.empty:
        return ""
    lowest, highest = (
        f"{100 * value:.2f} %" for value in (runs["teacher_accuracy"].min(), runs["teacher_accuracy"].max())
    )
    if len(runs) > 1:
        return f"{len(runs)} teachers ({lowest} to {highest}) taught the students."
    seed = runs["config"].iloc[0].get("teacher", {}).get("seed")
    known = "" if seed is None else f"of seed {seed}, "
    return f"One teacher ({known}{lowest}) taught all students: their ± is without the choice of a teacher."


def _precision(runs: pd.DataFrame) -> str:
    return f"Networks in {', '.join(sorted(set(runs['precision'])))}."


def _revision(runs: pd.DataFrame) -> str:
    """Names the git revisions of kd_bench that made the runs, and the versions where the revision is not known."""
    revisions = sorted({revision[:7] for revision in runs["revision"].dropna()})
    versions = sorted(set(runs.loc[runs["revision"].isna(), "version"].dropna()))
    changed = int(runs["dirty"].eq(True).sum())
    uncommitted = f", {pluralize(changed, 'run')} with uncommitted changes" if changed else ""
    revision_text = f"Made at revision {', '.join(revisions)}{uncommitted}." if revisions else ""
    return _join(revision_text, f"Made with kd_bench {', '.join(versions)} at an unknown revision." if versions else "")


def _incomplete(table: Table) -> list[str]:
    """Returns lines about what is missing or doubtful: failures, warnings, unfinished runs and repeats."""
    runs = table.runs
    failed = runs[runs["status"] == FAILED]
    warned = runs[(runs["status"] == DONE) & (runs["warnings"].str.len() > 0)]
    lines = []
    if len(failed):
        reasons = zip(run_paths(failed), failed["reason"], strict=True)
        failures = [f"`{path}` (`{_plain(reason)}`)" for path, reason in reasons]
        lines.append(f"{pluralize(len(failed), 'run')} failed: {'; '.join(failures)}.")
    if len(warned):
        lines.append(f"{pluralize(len(warned), 'run')} gave a warning: {'; '.join(_warnings(warned))}.")
    if table.unfinished:
        lines.append(f"{pluralize(len(table.unfinished), 'run')} unfinished.")
    if table.repeats:
        lines.append(f"{pluralize(table.repeats, 'run')} left out: a newer record of the same run counts.")
    return lines


def _warnings(runs: pd.DataFrame) -> list[str]:
    """Returns each warning once per row, with the number of runs that gave it.

    Warnings that differ only in their numbers count as one, and the first of them is shown.
    """
    given = runs[["row", "warnings"]].explode("warnings")
    wording = given["warnings"].str.replace(r"[\d.]*\d", "", regex=True).rename("wording")
    counts = given.groupby(["row", wording], sort=False)["warnings"].agg(["first", "size", "nunique"]).reset_index()
    return [
        f"{row}: `{_plain(first)}` ({pluralize(times, 'run')}{', also with other numbers' if different > 1 else ''})"
        for row, _, first, times, different in counts.itertuples(index=False)
    ]


def _plain(text: str) -> str:
    return one_line(text).replace("`", "'")


def _join(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _span(first: str, last: str) -> str:
    """Returns "first", or "first to last" if they differ."""
    return " to ".join(dict.fromkeys([first, last]))
