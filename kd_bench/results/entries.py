"""The long form of the results, for other programs: one flat entry a cell or a run, each number traceable."""

from typing import Any

from kd_bench.results.outputs import FinishedRun, Outputs
from kd_bench.results.row import Row
from kd_bench.results.table import Table

Entry = dict[str, Any]


def cell_entries(tables: list[Table]) -> list[Entry]:
    """Returns an entry a cell, in the tables' order; accuracies are in [0, 1]."""
    return [
        {"dataset": table.subject.dataset, "model": table.subject.model, "row": row.name} | _cell_entry(row, fraction)
        for table in tables
        for row in table.rows
        for fraction in row.cells
    ]


def run_entries(outputs: Outputs) -> list[Entry]:
    """Returns an entry a run, by directory: finished, left out as a repeat, or unfinished (nothing is known of it)."""
    finished = [_run_entry(run, run.record.status) for run in outputs.finished]
    repeats = [_run_entry(run, "repeat") for run in outputs.repeats]
    known = dict.fromkeys((finished + repeats)[0]) if finished else {}
    unfinished = [known | {"directory": directory, "status": "unfinished"} for directory in outputs.unfinished]
    return sorted(finished + repeats + unfinished, key=lambda entry: entry["directory"])


def _cell_entry(row: Row, fraction: float) -> Entry:
    cell = row.cells[fraction]
    return {
        "fraction": fraction,
        "mean": cell.mean,
        "sd": cell.deviation,
        "n": len(cell.done),
        "failed": len(cell.failed),
        "gain": cell.gain,
        "p_value": cell.p_value,
        "seeds": [run.record.run.seed for run in cell.done],
        "directories": [run.directory for run in cell.done],
        "failed_directories": [run.directory for run in cell.failed],
    }


def _run_entry(run: FinishedRun, status: str) -> Entry:
    asked, scores, cost, git = run.record.run, run.record.scores, run.record.cost, run.record.setting.git
    return {
        "directory": run.directory,
        "status": status,
        "label": asked.label,
        "fraction": asked.fraction,
        "seed": asked.seed,
        "accuracy": scores.last_accuracy,
        "best_accuracy": scores.best_accuracy,
        "teacher_accuracy": scores.teacher_accuracy,
        "agreement": scores.agreement,
        "steps": sum((cost.steps or {}).values()) or None,
        "seconds": cost.seconds,
        "digest": asked.digest,
        "protocol": asked.protocol,
        "revision": git.get("revision"),
        "dirty": git.get("dirty"),
        "reason": run.record.reason,
    }
