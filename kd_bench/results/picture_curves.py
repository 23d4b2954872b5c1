"""The picture of learning curves: test accuracy by epoch, with the time of earlier stages."""

from typing import Any

import altair as alt
import pandas as pd

from kd_bench.results.frame import load_curves
from kd_bench.results.look import (
    LIGHT,
    Picture,
    dashes,
    finished,
    fitting_teacher,
    in_panels,
    low_end,
    palette,
    teacher_accuracy,
    teacher_line,
    teacher_words,
    with_references,
)
from kd_bench.results.table import CELL, Table, fraction_name
from kd_bench.runs.record import DONE

_COLOURS = ["#0B3C5D", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#D55E00"]
_BEGINNING = 0.25
"""The part of the main stage whose accuracies may be below the axis."""


def draw_curves(table: Table) -> Picture | None:
    """Draws the test accuracy from the first step of all stages, one panel per method and one line per fraction."""
    curves = _curves(table)
    if curves.empty:
        return None
    data = with_references(table, curves).assign(fraction=lambda points: points["fraction"].map(fraction_name))
    scale = _scale(data, teacher_accuracy(table))
    chart = in_panels(_layers(table, data, scale), data, table.names, width=128, height=110)
    below = data["accuracy"] < scale.domain[0]
    subtitle = [
        "Test accuracy in %, mean over seeds, by epoch.",
        *(["The first epochs may be below the axis."] if below.any() else []),
        *(["An arrow: the lowest last accuracy, below the axis."] if (below & _is_end(data)).any() else []),
        *(["Grey ground: the steps of earlier stages, which have no accuracy yet."] if data["start"].any() else []),
        *teacher_words(teacher_accuracy(table), scale),
    ]
    return finished(chart.resolve_scale(x="independent"), "Learning curves", subtitle, table)


def _curves(table: Table) -> pd.DataFrame:
    """Returns the mean accuracy of each cell after each evaluation.

    Returns:
        `row`, `fraction`, `start` (the length of the stages before the main stage, in its epochs), `part` (of the main
        stage, in [0, 1]), `epoch` (from the first step of all stages), `accuracy`.
    """
    runs = table.runs[(table.runs["status"] == DONE) & table.runs["steps"].notna()].reset_index(drop=True)
    steps = [list(stages.values()) for stages in runs["steps_by_stage"]]
    runs["earlier"] = [sum(counts[:-1]) / counts[-1] for counts in steps]
    points = load_curves(runs).join(runs[[*CELL, "earlier"]])
    epochs = points.groupby(level=0)["epoch"].transform("max")
    points["start"], points["part"] = points["earlier"] * epochs, points["epoch"] / epochs
    points["epoch"] += points["start"]
    means = points.groupby([*CELL, "start", "part", "epoch"], sort=False)["test_accuracy"].mean()
    return means.mul(100).reset_index(name="accuracy")


def _is_end(data: pd.DataFrame) -> pd.Series:
    return (data["role"] == "method") & (data["part"] == 1)


def _scale(data: pd.DataFrame, teacher: float) -> alt.Scale:
    later = data[data["part"] > _BEGINNING]
    always = later.loc[later["role"] != "method", "accuracy"].min()
    return fitting_teacher(low_end(later["accuracy"], always), data["accuracy"].max(), teacher)


def _layers(table: Table, data: pd.DataFrame, scale: alt.Scale) -> Any:
    base = alt.Chart()
    colours = dict(zip(table.fraction_names, _COLOURS, strict=False))
    axis = alt.Axis(tickCount=3, labelExpr="format(datum.value, '~s')")
    lines = base.mark_line(clip=True, strokeWidth=1.8).encode(
        x=alt.X("epoch:Q", title=None, axis=axis, scale=alt.Scale(nice=False)),
        y=alt.Y("accuracy:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5)),
        color=alt.Color("fraction:N", sort=table.fraction_names, title=None, scale=palette(colours)),
        strokeDash=alt.StrokeDash("role:N", title=None, scale=dashes(table.reference)),
    )
    starts = base.transform_filter("datum.role == 'method'").transform_aggregate(count="count()", groupby=["start"])
    ground = starts.transform_calculate(begin="0").mark_rect(color=LIGHT, opacity=0.3).encode(x="begin:Q", x2="start:Q")
    return alt.layer(ground, *teacher_line(teacher_accuracy(table), scale), lines, _lowest_end(scale.domain[0]))


def _lowest_end(edge: float) -> alt.Chart:
    """Returns a number in each panel with a curve that ends below the axis: the lowest of its last accuracies."""
    ends = alt.Chart().transform_filter("datum.role == 'method' && datum.part == 1")
    lowest = ends.transform_aggregate(lowest="min(accuracy)").transform_filter(alt.datum.lowest < edge)
    text = lowest.transform_calculate(text="'↓ ' + format(datum.lowest, '.1f')")
    marks = text.mark_text(align="right", baseline="bottom", fontSize=12)
    return marks.encode(x=alt.value("width"), y=alt.datum(edge), text="text:N")
