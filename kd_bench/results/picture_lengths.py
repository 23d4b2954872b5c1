"""The picture of lengths: accuracy over the cost of training, the plain student as a line, a trajectory a method."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from kd_bench.results.lengths import Lengths
from kd_bench.results.look import (
    BLUE,
    GREY,
    VERMILION,
    Picture,
    finished,
    fitting_teacher,
    palette,
    teacher_accuracy,
    teacher_line,
    teacher_words,
)
from kd_bench.results.table import fraction_name

_WIDTH, _HEIGHT, _LABEL = 480, 520, 14
"""Pixels; the last is the least distance of two labels."""
_STAGES = {"one stage": BLUE, "several stages": VERMILION}


def draw_lengths(lengths: Lengths) -> Picture:
    """Draws a trajectory for each method, labelled at its end, and the plain student's line with its band."""
    methods = _points(lengths)
    top = 100 * float(np.nanmax([lengths.cells["mean"].max(), (lengths.curve.means + _spread(lengths)).max()]))
    low = 100 * float(min(lengths.cells["mean"].min(), lengths.curve.means.min()))
    teacher = teacher_accuracy(lengths.table)
    scale = fitting_teacher(low, top, teacher)
    chart = alt.hconcat(_plot(lengths, methods, scale), _labels(methods, scale), spacing=0)
    basis = "measured times" if lengths.is_timed else "multiply-adds"
    subtitle = [
        f"Test accuracy in % (training images: {fraction_name(lengths.fraction)}) over the cost of the whole",
        f"training, in steps of the plain student by {basis}. Black: the plain student, ± standard deviation.",
        "Above it, a teacher is worth more than to train the student longer.",
        *teacher_words(teacher, scale),
    ]
    return finished(chart, "When distillation beats training longer", subtitle, lengths.table)


def _spread(lengths: Lengths) -> np.ndarray:
    return np.nan_to_num(lengths.curve.deviations)


def _points(lengths: Lengths) -> pd.DataFrame:
    cells = lengths.method_cells
    stages = ["several stages" if len(stages) > 1 else "one stage" for stages in cells["stages"]]
    columns = {"method": cells["method"], "length": cells["length"], "cost": cells["cost"].astype(float)}
    return pd.DataFrame(columns | {"accuracy": 100 * cells["mean"], "stages": stages})


def _plot(lengths: Lengths, methods: pd.DataFrame, scale: alt.Scale) -> Any:
    curve, spread = lengths.curve, 100 * _spread(lengths)
    student = pd.DataFrame({"cost": curve.steps, "accuracy": 100 * curve.means})
    student = student.assign(low=student["accuracy"] - spread, high=student["accuracy"] + spread)
    x = alt.X(
        "cost:Q",
        title="cost, steps of the plain student",
        axis=alt.Axis(labelSeparation=8),
        scale=alt.Scale(type="log", nice=False, padding=12),
    )
    y = alt.Y("accuracy:Q", title="accuracy, %", scale=scale)
    base, line = alt.Chart(methods), alt.Chart(student)
    colour = alt.Color("stages:N", title="training", scale=palette(_STAGES))
    return alt.layer(
        *teacher_line(teacher_accuracy(lengths.table), scale),
        line.mark_area(opacity=0.25, color=GREY).encode(
            x=x, y=alt.Y("low:Q", scale=scale, title="accuracy, %"), y2="high:Q"
        ),
        base.mark_line(strokeWidth=1.3, opacity=0.75).encode(x=x, y=y, color=colour, detail="method:N"),
        base.mark_point(filled=True, size=28, opacity=0.9).encode(
            x=x, y=y, color=colour, detail="method:N", tooltip=["method", "length", "cost", "accuracy"]
        ),
        line.mark_line(color="black", strokeWidth=3, point=alt.OverlayMarkDef(color="black", size=35)).encode(x=x, y=y),
    ).properties(width=_WIDTH, height=_HEIGHT)


def _labels(methods: pd.DataFrame, scale: alt.Scale) -> Any:
    """Returns the methods' names at the heights of their trajectories' ends, moved apart."""
    ends = methods.sort_values("length").drop_duplicates("method", keep="last").sort_values("accuracy")
    per_point = (scale.domain[1] - scale.domain[0]) / _HEIGHT
    heights = _spaced(ends["accuracy"].to_numpy(), _LABEL * per_point, *scale.domain)
    texts = [f"{method} {accuracy:.1f}" for method, accuracy in zip(ends["method"], ends["accuracy"], strict=True)]
    ends = ends.assign(height=heights, text=texts, start=0, end=1)
    y = alt.Y("height:Q", scale=scale, axis=None)
    start, end = (alt.X(f"{side}:Q", axis=None, scale=alt.Scale(domain=[0, 1])) for side in ("start", "end"))
    base = alt.Chart(ends).encode(color=alt.Color("stages:N", scale=palette(_STAGES)))
    names = base.mark_text(align="left", fontSize=12, dx=4).encode(x=end, y=y, text="text:N")
    accuracy = alt.Y("accuracy:Q", scale=scale, axis=None)
    leaders = base.mark_rule(opacity=0.5).encode(x=start, x2="end:Q", y=accuracy, y2="height:Q")
    return alt.layer(leaders, names).properties(width=24, height=_HEIGHT, view=alt.ViewConfig(stroke=None))


def _spaced(values: np.ndarray, min_distance: float, low: float, high: float) -> np.ndarray:
    """Returns increasing values, moved up and down until each two differ by `min_distance` or more."""
    moved = values.astype(float).copy()
    moved[0] = max(moved[0], low)
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + min_distance)
    moved[-1] = min(moved[-1], high)
    for index in range(len(moved) - 2, -1, -1):
        moved[index] = min(moved[index], moved[index + 1] - min_distance)
    return moved
