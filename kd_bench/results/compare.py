"""Each method against the Student that was run alike: does distilling help, beyond chance?"""

import json
from dataclasses import replace

from kd_bench.results.cell import Cell
from kd_bench.results.grouping import group_by
from kd_bench.results.naming import METHOD_PREFIX, STUDENT, TEACHER
from kd_bench.results.row import Row
from kd_bench.results.statistics import welch_p_value


def compare_rows(rows: list[Row]) -> list[Row]:
    """Fills in each method's gains over the Student run alike; where several Student rows qualify, none."""
    students = group_by((row for row in rows if _is_baseline(row)), _circumstances)
    return [_compare_row(row, students.get(_circumstances(row), [])) for row in rows]


def _compare_row(row: Row, students: list[Row]) -> Row:
    if row.record.run.label in (TEACHER, STUDENT) or len(students) != 1:
        return row
    baseline = students[0].cells
    return replace(row, cells={key: _compare_cell(cell, baseline.get(key)) for key, cell in row.cells.items()})


def _compare_cell(cell: Cell, student: Cell | None) -> Cell:
    if student is None or cell.mean is None or student.mean is None:
        return cell
    return replace(cell, gain=cell.mean - student.mean, p_value=welch_p_value(cell.accuracies, student.accuracies))


def _is_baseline(row: Row) -> bool:
    run = row.record.run
    return run.label == STUDENT and not any(key.startswith(METHOD_PREFIX) for key in run.overrides)


def _circumstances(row: Row) -> tuple[str, ...]:
    """Returns what a method and its baseline must share: everything but the method."""
    run = row.record.run
    shared = {key: value for key, value in run.overrides.items() if not key.startswith(METHOD_PREFIX)}
    return run.experiment, run.budget, row.record.setting.precision, json.dumps(shared, sort_keys=True)
