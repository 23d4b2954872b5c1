"""The picture of accuracies: each method over the fraction of the training data, among the others."""

from typing import Any

import altair as alt
import pandas as pd

from kd_bench.results.look import (
    BLUE,
    GREY,
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
from kd_bench.results.rows import TEACHER
from kd_bench.results.table import CELL, Table, fraction_name

_BAND = "middle half of the methods"
_FEW = 4
"""Fewer methods have no middle half."""


def draw_accuracy(table: Table) -> Picture | None:
    """Draws the accuracy over the fraction of the training data, one panel per method, among the others."""
    data = _data(table)
    if data["fraction"].nunique() <= 1:
        return None
    teacher = teacher_accuracy(table)
    scale = fitting_teacher(_bottom(data), data["high"].max(), teacher)
    chart = in_panels(_layers(table, data, scale), data, table.names, width=128, height=110)
    subtitle = [
        "Test accuracy in %, mean over seeds ± standard deviation, by fraction of the training images.",
        *(["An arrow: below the axis."] if (data["low"] < scale.domain[0]).any() else []),
        *teacher_words(teacher, scale),
    ]
    in_data_only = all(row.facts["budget"] == "steps" for row in table.rows if row.label != TEACHER)
    title = "Accuracy with less data" if in_data_only else "Accuracy with less data and fewer steps"
    return finished(chart, title, subtitle, table)


def _data(table: Table) -> pd.DataFrame:
    """Returns the points of each panel: the method's, its reference's, and the middle half of all methods."""
    students = [row.name for row in table.rows if row.label != TEACHER]
    cells = table.cells[table.cells["row"].isin(students)].dropna(subset="mean")
    spread = cells["sd"].fillna(0)
    scores = {"accuracy": cells["mean"], "low": cells["mean"] - spread, "high": cells["mean"] + spread}
    points = with_references(table, cells[CELL].assign(**{name: 100 * values for name, values in scores.items()}))
    methods = points[points["role"] == "method"].groupby("fraction")["accuracy"]
    band = pd.DataFrame({"low": methods.quantile(0.25), "high": methods.quantile(0.75)}).reset_index()
    panels = points[["panel"]].drop_duplicates()
    if len(panels) >= _FEW:
        points = pd.concat([points, panels.merge(band, how="cross").assign(role=_BAND)], ignore_index=True)
    return points.assign(fraction=points["fraction"].map(fraction_name))


def _bottom(data: pd.DataFrame) -> float:
    lines = data[data["role"] != _BAND]
    return low_end(lines["low"], lines.loc[lines["role"] != "method", "low"].min())


def _layers(table: Table, data: pd.DataFrame, scale: alt.Scale) -> Any:
    edge = scale.domain[0]
    roles = {"method": BLUE, table.reference: GREY, _BAND: LIGHT}
    roles = {role: colour for role, colour in roles.items() if role in set(data["role"])}
    base = alt.Chart().encode(
        x=alt.X(
            "fraction:O", sort=table.fraction_names[::-1], title=None, axis=alt.Axis(labelAngle=0, labelFontSize=11)
        ),
        color=alt.Color("role:N", title=None, scale=palette(roles)),
    )
    lines = base.transform_filter(alt.datum.role != _BAND)
    return alt.layer(
        base.transform_filter(alt.datum.role == _BAND)
        .mark_area(opacity=0.4, clip=True)
        .encode(y=_axis("low", scale), y2="high:Q"),
        *teacher_line(teacher_accuracy(table), scale),
        lines.mark_rule(strokeWidth=2, clip=True).encode(y=_axis("low", scale), y2="high:Q"),
        lines.mark_line(clip=True, point=alt.OverlayMarkDef(size=28)).encode(
            y=_axis("accuracy", scale), strokeDash=alt.StrokeDash("role:N", scale=dashes(table.reference), legend=None)
        ),
        lines.transform_filter(alt.datum.low < edge)
        .mark_point(filled=True, size=50, shape="triangle-down", opacity=1)
        .encode(y=alt.datum(edge)),
        lines.transform_filter(alt.datum.accuracy < edge)
        .mark_text(align="left", baseline="bottom", dx=5, fontSize=12)
        .encode(y=alt.datum(edge), text=alt.Text("accuracy:Q", format=".1f")),
    )


def _axis(name: str, scale: alt.Scale) -> alt.Y:
    return alt.Y(f"{name}:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))
