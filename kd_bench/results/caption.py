"""What a reader must know to trust a table: the lines below it."""

from collections.abc import Iterable, Sequence

from kd_bench.results.cell import BETTER, SIGNIFICANCE, WORSE
from kd_bench.results.naming import TEACHER, fraction_name
from kd_bench.results.outputs import FinishedRun
from kd_bench.results.table import Table


def caption_lines(table: Table) -> list[str]:
    """Returns the table's explanations and what is missing from it, a sentence or list a line."""
    runs = [run for cell in table.cells for run in cell.done]
    failed = [run for cell in table.cells for run in cell.failed]
    lines = [
        "A cell is the last epoch's test accuracy in %, mean ± sample standard deviation over seeds (number of seeds).",
        f"`{BETTER}` better, `{WORSE}` worse than the Student run alike: Welch's t-test, two-sided, "
        f"p < {SIGNIFICANCE}, not corrected for the number of comparisons.",
        " ".join(filter(None, [_budget(table), _images(table), _teacher(runs), _precision(table)])),
    ]
    if failed:
        lines.append(f"{_count(failed)} failed: {'; '.join(map(_failure, failed))}.")
    if table.unfinished:
        lines.append(f"{_count(table.unfinished)} unfinished.")
    if table.repeats:
        repeats = ", ".join(f"`{run.directory}`" for run in table.repeats)
        lines.append(f"{_count(table.repeats)} left out, repeating another's fraction and seed: {repeats}.")
    return lines


def _budget(table: Table) -> str:
    """Names what is held equal; a teacher, always on the full data, has no say in it."""
    budgets = sorted({run.budget for run in (row.record.run for row in table.rows) if run.label != TEACHER})
    if not budgets:
        return "Steps adds up the stages."
    return f"Budget: equal {' or '.join(budgets)} at every fraction; Steps adds up the stages."


def _images(table: Table) -> str:
    """Names the number of training images at each fraction."""
    counts = {fraction: _span([str(count) for count in _image_counts(table, fraction)]) for fraction in table.fractions}
    named = ", ".join(f"{count} ({fraction_name(fraction)})" for fraction, count in counts.items() if count)
    return f"Training images: {named}." if named else ""


def _image_counts(table: Table, fraction: float) -> list[int]:
    cells = (row.cells[fraction] for row in table.rows if fraction in row.cells)
    counts = {run.record.cost.train_images for cell in cells for run in cell.done}
    return sorted(count for count in counts if count is not None)


def _teacher(runs: Iterable[FinishedRun]) -> str:
    """Names the accuracy of the teachers that were distilled from."""
    scores = {(run.record.scores.teacher_digest, run.record.scores.teacher_accuracy) for run in runs}
    accuracies = sorted(accuracy for _, accuracy in scores if accuracy is not None)
    several = f" ({len(accuracies)} teachers)" if len(accuracies) > 1 else ""
    return f"Distilled from {_span([_percent(accuracy) for accuracy in accuracies])}{several}." if accuracies else ""


def _precision(table: Table) -> str:
    return f"Networks in {', '.join(sorted({row.record.setting.precision for row in table.rows}))}."


def _failure(run: FinishedRun) -> str:
    reason = " ".join((run.record.reason or "").split()).replace("`", "'")
    return f"`{run.directory}` (`{reason}`)"


def _count(things: Sequence[object]) -> str:
    return f"{len(things)} run{'' if len(things) == 1 else 's'}"


def _percent(accuracy: float) -> str:
    return f"{100 * accuracy:.2f} %"


def _span(texts: Sequence[str]) -> str:
    """Returns "first", or "first to last" if they differ; the texts are in order."""
    return " to ".join(dict.fromkeys([texts[0], texts[-1]])) if texts else ""
