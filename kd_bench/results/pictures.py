"""Pictures of a table: gains with intervals, accuracy over the fraction of the data, and learning curves, as SVG.

Each method has its own panel or line, in the table's order, because nobody can tell fifteen colours apart. The colours
are those of Okabe and Ito, which colour-blind people can tell apart. Shapes show the same as the colours.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import altair as alt
import pandas as pd
import vl_convert

from kd_bench.results.frame import load_curves
from kd_bench.results.rows import TEACHER
from kd_bench.results.table import BETTER, CELL, WORSE, Table, fraction_name, mark
from kd_bench.runs.files import storing, write_atomically
from kd_bench.runs.record import DONE

Picture = alt.TopLevelMixin

# A font that comes with vl-convert: the layout is the same on every machine.
_FONT = "Liberation Sans, Arial, sans-serif"
_COLUMNS = 5
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#767676"
_VERDICTS = {"better": BLUE, "worse": VERMILION, "no difference shown": GREY, "not tested": "#B0B0B0"}
_SHAPES = dict(zip(_VERDICTS, ("triangle-up", "triangle-down", "circle", "diamond"), strict=True))
_FRACTION_COLOURS = ["#0B3C5D", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#D55E00"]


def write_pictures(pictures: Mapping[str, Picture], folder: Path) -> list[Path]:
    """Writes pictures as SVG.

    Args:
        pictures: Pictures by the names of their files, without ending.
        folder: Where the files go.

    Returns:
        The files.

    Raises:
        StorageError: A file cannot be written.
    """
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}.svg" for stem in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        write_atomically(path, svg(picture))
    return paths


def table_pictures(tables: Sequence[Table], name: str = "") -> dict[str, Picture]:
    """Draws the pictures of every table, by the names of their files. A picture without data is left out.

    Args:
        tables: The tables.
        name: The beginning of the names; if empty, the tables' dataset and model are used.
    """
    drawn = {}
    for table in tables:
        subject = [] if name and len(tables) == 1 else [table.dataset, table.model]
        for kind, draw in PICTURES.items():
            drawn[stem(name, *subject, kind)] = draw(table)
    return {name: picture for name, picture in drawn.items() if picture is not None}


def stem(*parts: str) -> str:
    """Returns the name of a picture's file, without ending, of those of its parts that are not empty."""
    return "-".join(re.sub(r"[^\w.]+", "_", part) for part in filter(None, parts))


def markdown_images(paths: Sequence[Path], folder: Path) -> str:
    """Returns Markdown that shows the pictures in a file of this folder."""
    links = [Path(os.path.relpath(path, folder)).as_posix() for path in paths]
    return "\n\n".join(f"![{_ALTERNATIVES[link.rpartition('-')[2]]}]({link})" for link in links)


def svg(picture: Picture) -> str:
    """Returns a picture as SVG: the same text for the same picture."""
    drawn = vl_convert.vegalite_to_svg(specification(picture))
    # Vega counts the clip paths over all pictures of a process: here each picture starts at 0.
    numbers: dict[str, int] = {}
    return re.sub(r"\bclip\d+\b", lambda clip: f"clip{numbers.setdefault(clip[0], len(numbers))}", drawn)


def specification(picture: Picture) -> dict[str, Any]:
    """Returns a picture as Vega-Lite, with its data, however many points it has."""
    with alt.data_transformers.enable("default", max_rows=None):
        return picture.to_dict()


def draw_gains(table: Table) -> Picture | None:
    """Draws each method's gain over the reference with its 95 % confidence interval, one panel per fraction."""
    data = _gain_data(table)
    if data.empty:
        return None
    columns = alt.Column("fraction:N", sort=_fractions(table), title=None)
    chart = _gain_layers(data, _names(table)).properties(width=150, height=alt.Step(17)).facet(column=columns)
    subtitle = [
        "Difference of the means, with the simultaneous 95 % confidence interval of the test that gives the marks.",
        "A number at the edge is a value outside the axis.",
    ]
    return finished(chart, f"Gain over the {table.reference}", subtitle, table)


def draw_accuracy(table: Table) -> Picture | None:
    """Draws the accuracy over the fraction of the training data, one panel per method, each with the reference."""
    if table.cells.dropna(subset="mean")["fraction"].nunique() <= 1:
        return None
    chart = _facet(_accuracy_layers(table, _accuracy_data(table)), table)
    subtitle = [
        "Mean over seeds, ± standard deviation, against the fraction of the training data.",
        "A number at the edge is a value below the axis.",
    ]
    in_data_only = all(row.facts["budget"] == "steps" for row in table.rows if row.label != TEACHER)
    title = "Accuracy with less data" if in_data_only else "Accuracy with less data and fewer steps"
    return finished(chart, title, subtitle, table)


def draw_curves(table: Table) -> Picture | None:
    """Draws the test accuracy per epoch, mean over seeds, one panel per method and one line per fraction."""
    data = _curve_data(table)
    if data.empty:
        return None
    colours = dict(zip(_fractions(table), _FRACTION_COLOURS, strict=False))
    lines = alt.Chart(data).mark_line(clip=True, strokeWidth=1.5)
    chart = lines.encode(
        x=alt.X("epoch:Q", title="epoch"),
        y=_accuracy_axis("accuracy", alt.Scale(zero=False)),
        color=alt.Color("fraction:N", sort=_fractions(table), title="data", scale=_scale(colours)),
        strokeDash=_dash(table),
    )
    subtitle = ["Test accuracy per epoch of the main stage, mean over seeds."]
    return finished(_facet(chart, table), "Learning curves", subtitle, table)


PICTURES: dict[str, Callable[[Table], Picture | None]] = {
    "gains": draw_gains,
    "accuracy": draw_accuracy,
    "curves": draw_curves,
}
_ALTERNATIVES = {
    "gains.svg": "Gain of each method over the reference, with confidence intervals",
    "accuracy.svg": "Accuracy of each method over the fraction of the training data",
    "curves.svg": "Learning curves of each method",
    "lengths.svg": "Accuracy of each method over the cost of its training, beside the plain student's",
}


def _verdict(cell: dict) -> str:
    untested = "not tested" if pd.isna(cell["p_value"]) else "no difference shown"
    return {BETTER: "better", WORSE: "worse"}.get(mark(cell), untested)


def _limit(data: pd.DataFrame) -> float:
    """Returns the end of the axis of gains. A method that diverged must not make the axis too long for the others."""
    extent = data[["gain", "gain_low", "gain_high"]].abs().max(axis=1)
    return float(min(1.05 * extent.max(), 3 * extent.median())) or 1.0


def _gain_data(table: Table) -> pd.DataFrame:
    cells = table.cells.dropna(subset="gain")
    columns = {
        "row": cells["row"],
        "fraction": cells["fraction"].map(fraction_name),
        "verdict": [_verdict(cell) for cell in cells.to_dict("records")],
    }
    return pd.DataFrame(columns | {name: 100 * cells[name] for name in ("gain", "gain_low", "gain_high")})


def _gain_layers(data: pd.DataFrame, names: list[str]) -> Any:
    limit = _limit(data)
    chart = alt.Chart(data.assign(beyond=data["gain"].abs() > limit))
    colour = alt.Color("verdict:N", title=None, scale=_scale(_VERDICTS))
    shape = alt.Shape("verdict:N", title=None, scale=_scale(_SHAPES))
    base = chart.encode(y=alt.Y("row:N", sort=names, title=None), color=colour)
    near = base.transform_filter("!datum.beyond")
    dots = near.mark_point(filled=True, size=60, opacity=1)
    return alt.layer(
        chart.mark_rule(color="#444444").encode(x=alt.datum(0)),
        near.mark_rule(clip=True, strokeWidth=2).encode(x=_gain_axis("gain_low", limit), x2="gain_high:Q"),
        dots.encode(x=_gain_axis("gain", limit), shape=shape),
        _beyond(base, "left", -limit, "'← ' + format(datum.gain, '+.1f')"),
        _beyond(base, "right", limit, "format(datum.gain, '+.1f') + ' →'"),
    )


def _gain_axis(name: str, limit: float) -> alt.X:
    return alt.X(f"{name}:Q", title="points", scale=alt.Scale(domain=[-limit, limit]))


def _beyond(base: alt.Chart, side: Literal["left", "right"], edge: float, text: str) -> alt.Chart:
    """Returns the gains outside the axis as numbers at its edge."""
    outside = f"datum.beyond && {'datum.gain < 0' if side == 'left' else 'datum.gain > 0'}"
    marks = base.transform_filter(outside).transform_calculate(text=text).mark_text(align=side, fontSize=10)
    return marks.encode(x=alt.datum(edge), text="text:N")


def _accuracy_data(table: Table) -> pd.DataFrame:
    cells = table.cells.dropna(subset="mean")
    deviation = cells["sd"].fillna(0)
    scores = {"accuracy": cells["mean"], "low": cells["mean"] - deviation, "high": cells["mean"] + deviation}
    return _panels(table, cells[CELL].assign(**{name: 100 * values for name, values in scores.items()}))


def _accuracy_layers(table: Table, data: pd.DataFrame) -> Any:
    scale = _accuracy_scale(data)
    edge = scale.domain[0]
    base = alt.Chart(data).encode(
        x=alt.X("fraction:O", sort=_fractions(table)[::-1], title=None, axis=alt.Axis(labelAngle=0)),
        color=alt.Color("role:N", title=None, scale=_scale({"method": BLUE, table.reference: GREY})),
        strokeDash=_dash(table),
    )
    below = base.transform_filter(alt.datum.accuracy < edge).mark_text(baseline="bottom", fontSize=10)
    return alt.layer(
        base.mark_rule(clip=True).encode(y=_accuracy_axis("low", scale), y2="high:Q"),
        base.mark_line(clip=True, point=alt.OverlayMarkDef(size=25)).encode(y=_accuracy_axis("accuracy", scale)),
        below.encode(y=alt.datum(edge), text=alt.Text("accuracy:Q", format=".1f")),
    )


def _curve_data(table: Table) -> pd.DataFrame:
    runs = table.runs[table.runs["status"] == DONE].reset_index(drop=True)
    joined = load_curves(runs).join(runs[CELL])
    means = joined.groupby([*CELL, "epoch"], sort=False)["test_accuracy"].mean()
    return _panels(table, means.mul(100).reset_index(name="accuracy"))


def _accuracy_axis(name: str, scale: alt.Scale) -> alt.Y:
    return alt.Y(f"{name}:Q", title="accuracy, %", scale=scale)


def _accuracy_scale(data: pd.DataFrame) -> alt.Scale:
    """Returns the scale of the accuracy axis. A method that failed to learn must not make it too long for the others.

    The axis always includes all points of the reference.
    """
    highest, middle, lowest = data["high"].max(), data["accuracy"].median(), data["low"].min()
    reference = data.loc[data["role"] != "method", "low"].min()
    bottom = max(lowest, min(reference, middle - 3 * (highest - middle)))
    margin = 0.03 * (highest - bottom) or 1.0
    return alt.Scale(domain=[bottom - margin, highest + margin], nice=False, zero=False)


def _scale(values: Mapping[str, str]) -> alt.Scale:
    return alt.Scale(domain=list(values), range=list(values.values()))


def _panels(table: Table, data: pd.DataFrame) -> pd.DataFrame:
    """Returns the points of each row's panel: the row's own (role "method") and its reference's (role: its label)."""
    references = table.cells.dropna(subset="reference").drop_duplicates("row").set_index("row")["reference"]
    rows = list(references.index) or _names(table)
    parts = [data[data["row"] == row].assign(panel=row, role="method") for row in rows]
    parts += [data[data["row"] == references[row]].assign(panel=row, role=table.reference) for row in references.index]
    panels = pd.concat(parts)
    return panels.assign(fraction=panels["fraction"].map(fraction_name))


def _dash(table: Table) -> alt.StrokeDash:
    scale = alt.Scale(domain=["method", table.reference], range=[[1, 0], [3, 3]])
    return alt.StrokeDash("role:N", title=None, scale=scale)


def _facet(chart: Any, table: Table) -> alt.FacetChart:
    panels = alt.Facet("panel:N", sort=_names(table), title=None)
    return chart.properties(width=150, height=110).facet(panels, columns=_COLUMNS)


def _fractions(table: Table) -> list[str]:
    return [fraction_name(fraction) for fraction in table.fractions]


def _names(table: Table) -> list[str]:
    return [row.name for row in table.rows]


def finished(chart: Any, title: str, subtitle: list[str], table: Table) -> Picture:
    """Returns the chart with its title, on white: black on a transparent ground cannot be seen on dark pages."""
    heading = alt.Title(f"{title}: {table.dataset}, {table.model}", subtitle=subtitle, anchor="start", offset=12)
    return (
        chart.properties(title=heading, background="white", padding=12)
        .configure(font=_FONT)
        .configure_view(stroke="#CCCCCC")
        .configure_axis(gridColor="#EEEEEE", labelLimit=260)
        .configure_header(labelFontSize=12, labelFontWeight="bold")
        .configure_legend(orient="bottom", symbolSize=60, labelLimit=260)
    )
