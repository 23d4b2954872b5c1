"""The picture of gains: each method's difference to its reference, with its confidence interval."""

from typing import Any

import altair as alt
import pandas as pd

from kd_bench.results.look import (
    BLACK,
    BLUE,
    GREY,
    LIGHT,
    PANELS,
    VERMILION,
    Picture,
    finished,
    fitting,
    in_panels,
    once,
    palette,
    teacher_accuracy,
)
from kd_bench.results.rows import TEACHER
from kd_bench.results.table import BETTER, WORSE, Table, fraction_name, mark

_COLOURS = {"better": BLUE, "worse": VERMILION, "no difference shown": GREY, "not tested": LIGHT, TEACHER: BLACK}
_SHAPES = dict(zip(_COLOURS, ("triangle-up", "triangle-down", "circle", "diamond", "square"), strict=True))
_WIDTH, _LINE = 470, 18
_FAR = 5.0
"""A gain that many times as far from zero as the median is outside the axis."""


def draw_gains(table: Table) -> Picture | None:
    """Draws each method's gain over the reference with its 95 % confidence interval, one panel per fraction."""
    data = _data(table)
    if data.empty:
        return None
    fractions = [name for name in table.fraction_names if name in set(data["panel"])]
    names = [name for name in [*table.names, TEACHER] if name in set(data["row"])]
    width = _WIDTH // min(len(fractions), PANELS)
    chart = in_panels(_layers(data, names), data, fractions, width, _LINE * len(names))
    subtitle = [
        f"Test accuracy minus the {table.reference}'s, in points, with the simultaneous",
        "95 % confidence interval of the test that gives the marks.",
        *(["An arrow: outside the axis."] if data[["far", "cut_low", "cut_high"]].any(axis=None) else []),
        *(["Dotted: the teacher."] if (~data["far"] & (data["row"] == TEACHER)).any() else []),
    ]
    return finished(chart, f"Gain over the {table.reference}", subtitle, table)


def _data(table: Table) -> pd.DataFrame:
    """Returns a line for each gain, the teacher's included, and how much of it the axis shows."""
    cells = table.cells.dropna(subset="gain")
    verdicts = [_verdict(cell) for cell in cells.to_dict("records")]
    data = pd.concat([cells.assign(verdict=verdicts), _teachers(table, cells)], ignore_index=True)
    data[_NUMBERS] = 100 * data[_NUMBERS]
    low, high = _ends(data[data["row"] != TEACHER])
    shown = data[_NUMBERS].clip(low, high).add_prefix("shown_")
    data = data[["row", "verdict", *_NUMBERS]].join(shown).assign(panel=data["fraction"].map(fraction_name))
    data["far"] = data["gain"] != data["shown_gain"]
    data["cut_low"] = (data["gain_low"] < low) & ~data["far"]
    data["cut_high"] = (data["gain_high"] > high) & ~data["far"]
    return data


_NUMBERS = ["gain", "gain_low", "gain_high"]


def _verdict(cell: dict) -> str:
    untested = "not tested" if pd.isna(cell["p_value"]) else "no difference shown"
    return {BETTER: "better", WORSE: "worse"}.get(mark(cell), untested)


def _teachers(table: Table, cells: pd.DataFrame) -> pd.DataFrame:
    """Returns the teacher's gain at each fraction where all methods have the same reference."""
    pairs = cells.drop_duplicates(["reference", "fraction"])
    pairs = pairs[~pairs["fraction"].duplicated(keep=False)]
    references = pairs["mean"] - pairs["gain"]  # the reference itself may be left out of the table
    gains = teacher_accuracy(table) / 100 - references
    return pairs[["fraction"]].assign(row=TEACHER, verdict=TEACHER, gain=gains).dropna(subset="gain")


def _ends(methods: pd.DataFrame) -> tuple[float, float]:
    """Returns the ends of the axis of gains. A method that diverged must not make it too long for the others."""
    extent = methods[_NUMBERS].abs().max(axis=1)
    limit = _FAR * extent.median() or 1.0
    numbers = methods[_NUMBERS].to_numpy(float)
    near = numbers[abs(numbers) <= limit]
    return float(near.min(initial=0)), float(near.max(initial=0))


def _layers(data: pd.DataFrame, names: list[str]) -> Any:
    methods = data[data["row"] != TEACHER]
    scale = fitting(*_ends(methods))
    low, high = scale.domain
    legend = alt.Legend(values=[verdict for verdict in _COLOURS if verdict in set(methods["verdict"])])
    base = alt.Chart().encode(
        y=alt.Y("row:N", sort=names, title=None),
        color=alt.Color("verdict:N", title=None, scale=palette(_COLOURS), legend=legend),
    )
    shape = alt.Shape("verdict:N", title=None, scale=palette(_SHAPES), legend=legend)
    near = base.transform_filter("!datum.far")
    teacher = near.transform_filter(alt.datum.row == TEACHER)
    return alt.layer(
        once().mark_rule(color="#444444").encode(x=alt.datum(0, scale=scale)),
        teacher.mark_rule(strokeDash=[2, 2]).encode(x=_axis("gain", scale), y=alt.value(0), y2=alt.value("height")),
        near.mark_rule(strokeWidth=2).encode(x=_axis("shown_gain_low", scale), x2="shown_gain_high:Q"),
        _cut(near, "cut_low", low, "triangle-left"),
        _cut(near, "cut_high", high, "triangle-right"),
        near.mark_point(filled=True, size=60, opacity=1).encode(x=_axis("gain", scale), shape=shape),
        _far(base, "gain < 0", low, "left", "'← ' + format(datum.gain, '+.1f')"),
        _far(base, "gain > 0", high, "right", "format(datum.gain, '+.1f') + ' →'"),
    )


def _axis(name: str, scale: alt.Scale) -> alt.X:
    return alt.X(f"{name}:Q", title=None, scale=scale, axis=alt.Axis(tickCount=4))


def _cut(base: alt.Chart, which: str, edge: float, shape: str) -> alt.Chart:
    """Returns an arrow at the edge for each interval that goes on there."""
    return (
        base.transform_filter(f"datum.{which}").mark_point(filled=True, size=40, shape=shape).encode(x=alt.datum(edge))
    )


def _far(base: alt.Chart, side: str, edge: float, align: Any, text: str) -> alt.Chart:
    """Returns the gains outside the axis as numbers at its edge."""
    outside = base.transform_filter(f"datum.far && datum.{side}").transform_calculate(text=text)
    return outside.mark_text(align=align, fontSize=12).encode(x=alt.datum(edge), text="text:N")
