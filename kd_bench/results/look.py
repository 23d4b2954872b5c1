"""What all pictures share: type, colours, panels, and axes that fit the data.

Each method has its own panel or line, in the table's order, because nobody can tell fifteen colours apart. Shapes show
the same as the colours, which are those of Okabe and Ito: colour-blind people can tell them apart.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from kd_bench.results.table import Table

Picture = alt.TopLevelMixin

BLUE, VERMILION, GREY, LIGHT, BLACK = "#0072B2", "#D55E00", "#767676", "#B8B8B8", "#000000"
PANELS = 4
"""The number of panels in a row: a picture is 640 pixels wide or little more, and a phone shows it at half of that."""

# A font that comes with vl-convert: the layout is the same on every machine.
_FONT = "Liberation Sans, Arial, sans-serif"
_LARGE, _SMALL = 16, 13


def finished(chart: Any, title: str, subtitle: Sequence[str], table: Table) -> Picture:
    """Returns the chart with its title, on white: black on a transparent ground cannot be seen on dark pages."""
    lines = [f"{table.dataset}, {table.model}", *subtitle]
    heading = alt.Title(title, subtitle=lines, anchor="start", offset=14)
    return (
        chart.properties(title=heading, background="white", padding=12)
        .configure(font=_FONT)
        .configure_title(fontSize=_LARGE, subtitleFontSize=_SMALL, subtitleLineHeight=18, subtitlePadding=6)
        .configure_view(stroke="#CCCCCC")
        .configure_axis(gridColor="#EEEEEE", labelLimit=220, labelFontSize=_SMALL, titleFontSize=_SMALL)
        .configure_header(labelFontSize=_SMALL, labelFontWeight="bold")
        .configure_legend(orient="bottom", symbolSize=80, symbolOpacity=1, labelLimit=260, labelFontSize=_SMALL)
    )


def in_panels(chart: Any, data: pd.DataFrame, names: Sequence[str], width: int, height: int) -> alt.FacetChart:
    """Returns a panel of the chart for each value of `panel`, in this order. Each has its own horizontal axis."""
    facet = alt.Facet("panel:N", sort=list(names), title=None)
    faceted = chart.properties(width=width, height=height).facet(facet, data=data, columns=PANELS)
    return faceted.resolve_axis(x="independent")


def palette(values: Mapping[str, str]) -> alt.Scale:
    """Returns the scale that gives each value its colour, its shape or its dashes."""
    return alt.Scale(domain=list(values), range=list(values.values()))


def dashes(reference: str) -> alt.Scale:
    """Returns the scale that tells the lines of a method and of its reference apart."""
    return alt.Scale(domain=["method", reference], range=[[1, 0], [4, 2]])


def fitting(low: float, high: float) -> alt.Scale:
    """Returns the scale of an axis that shows these values with a little room on both sides."""
    margin = 0.04 * (high - low) or 1.0
    return alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)


def low_end(accuracies: pd.Series, always: float) -> float:
    """Returns where an axis of accuracies begins. A method that did not learn must not make it too long for the others.

    Args:
        accuracies: Those of all methods.
        always: The lowest accuracy that the axis must show; NaN if there is none.
    """
    middle = accuracies.median()
    least = np.nanmin([always, middle - 4 * (accuracies.max() - middle)])
    return float(accuracies[accuracies >= least].min())


def with_references(table: Table, data: pd.DataFrame) -> pd.DataFrame:
    """Returns what each method's panel shows: its own lines of data (role "method") and its reference's (its label).

    Args:
        table: The table.
        data: With a column `row`.
    """
    references = table.cells.dropna(subset="reference").drop_duplicates("row").set_index("row")["reference"]
    rows = list(references.index) or table.names
    parts = [data[data["row"] == row].assign(panel=row, role="method") for row in rows]
    parts += [data[data["row"] == references[row]].assign(panel=row, role=table.reference) for row in references.index]
    return pd.concat(parts, ignore_index=True)


def teacher_accuracy(table: Table) -> float:
    """Returns the mean accuracy, in %, of the teachers that taught the students; NaN if it is not known."""
    teachers = table.runs.dropna(subset="teacher_accuracy").drop_duplicates("teacher_digest")
    return 100 * float(teachers["teacher_accuracy"].mean()) if len(teachers) else math.nan


def fitting_teacher(low: float, high: float, teacher: float) -> alt.Scale:
    """Returns the scale that shows these accuracies, and the teacher's if it is not far above them."""
    return fitting(low, max(high, teacher) if teacher - high <= (high - low) / 2 else high)


def teacher_line(accuracy: float, scale: alt.Scale) -> list[alt.Chart]:
    """Returns the layer with the teacher's line; none if it is above the axis, or not known."""
    if not accuracy <= scale.domain[1]:
        return []
    return [once().mark_rule(strokeDash=[2, 2], color=BLACK).encode(y=alt.datum(accuracy, scale=scale))]


def teacher_words(accuracy: float, scale: alt.Scale) -> list[str]:
    """Returns the line of a subtitle that tells of the teacher."""
    if math.isnan(accuracy):
        return []
    return [f"{'Dotted' if accuracy <= scale.domain[1] else 'Above the axis'}: the teacher, {accuracy:.2f} %."]


def once() -> alt.Chart:
    """Returns a chart with one mark in each panel, instead of one for each line of its data."""
    return alt.Chart().transform_aggregate(count="count()")
