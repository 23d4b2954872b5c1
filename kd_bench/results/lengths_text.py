"""Lengths as text: accuracies and ranks at each length, and the plain student's cost for the same accuracy."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kd_bench.results.lengths import Lengths
from kd_bench.results.rows import STUDENT
from kd_bench.results.significance import LEVEL
from kd_bench.results.table import fraction_name
from kd_bench.results.text import MISSING, Grid, cell_text, frame_grid, render_frame, section

_COLUMNS = [
    *("method", "length", "cost", "mean", "sd", "n", "seeds", "rank", "gain", "gain_low", "gain_high", "p_value"),
    *("gain_at_cost", "ratio", "ratio_low", "ratio_high"),
]
"""The columns in CSV and JSON, after the table's."""


def render_lengths(all_lengths: Sequence[Lengths], output_format: str) -> str:
    """Returns the lengths in one of `text.FORMATS`; CSV and JSON have an entry per method and length."""
    if output_format in ("csv", "json"):
        return render_frame(pd.concat([_entries(lengths) for lengths in all_lengths]), output_format)
    return "\n\n".join(_section(lengths, output_format) for lengths in all_lengths)


def main_length(lengths: Lengths) -> int:
    """Returns the longest length at which most methods have two seeds or more; without one, the longest."""
    methods = lengths.method_cells
    several = methods[methods["n"] > 1].groupby("length").size()
    common = several[several >= methods["method"].nunique() / 2]
    return int((common if len(common) else several if len(several) else methods.groupby("length").size()).index.max())


def ratio_text(cell: Mapping[Any, Any]) -> str:
    """Returns the student's cost for a method's accuracy over the method's cost, e.g. `4.1x [3.0x, never]`."""
    if math.isnan(cell["ratio_low"]):
        return _ratio(cell["ratio"])
    return f"{_ratio(cell['ratio'])} [{_ratio(cell['ratio_low'])}, {_ratio(cell['ratio_high'])}]"


def _ratio(value: float) -> str:
    if pd.isna(value):
        return MISSING
    return "never" if math.isinf(value) else f"{value:.1f}x" if value else "less"


def _section(lengths: Lengths, output_format: str) -> str:
    subject = f"{lengths.table.dataset}, {lengths.table.model}, {fraction_name(lengths.fraction)}: lengths"
    return section(
        subject, "lengths", [_accuracies(lengths), _student_comparison(lengths)], _captions(lengths), output_format
    )


def _accuracies(lengths: Lengths) -> Grid:
    """Returns the accuracy of each method at each length, and its rank there."""
    cells = lengths.cells.assign(text=[cell_text(cell) for cell in lengths.cells.to_dict("records")])
    cells["rank"] = cells["rank"].map("{:g}".format, "ignore")
    accuracies = cells.pivot(index="method", columns="length", values="text")[lengths.columns]
    ranks = cells.pivot(index="method", columns="length", values="rank")[lengths.columns]
    both = accuracies.rename(columns="{:,} steps".format).join(ranks.rename(columns="Rank ({:,})".format))
    return frame_grid(both.reindex(lengths.methods))


def _student_comparison(lengths: Lengths) -> Grid:
    """Returns what each method costs, and its accuracy beside that of a student of the same cost."""
    length, cells = main_length(lengths), lengths.method_cells
    cells = cells.assign(ratio=[ratio_text(cell) for cell in cells.to_dict("records")])
    main = cells[cells["length"] == length].set_index("method")
    gains = cells.pivot(index="method", columns="length", values="gain_at_cost").map(_percentage_points)
    columns = {
        "Cost": (main["cost"] / length).map("{:.2f}".format),
        f"Gain at equal steps ({length:,})": main["gain"].map(_percentage_points),
        **{f"Gain at equal cost ({column:,})": gains[column] for column in lengths.columns},
        f"Student's cost for the same accuracy ({length:,})": main["ratio"],
    }
    return frame_grid(pd.DataFrame(columns).reindex([method for method in lengths.methods if method != STUDENT]))


def _percentage_points(value: float) -> str:
    return MISSING if pd.isna(value) else f"{100 * value:+z.2f}"


def _captions(lengths: Lengths) -> list[str]:
    curve, length = lengths.curve, main_length(lengths)
    measured = ", ".join(
        f"{100 * mean:.2f} % ({int(steps):,})" for steps, mean in zip(curve.steps, curve.means, strict=True)
    )
    basis = "measured times of steps" if lengths.is_timed else "multiply-adds of the whole training"
    best = int(curve.means.argmax())
    return [
        "A cell is the last epoch's test accuracy in % after this many steps of the main stage, with the marks of the "
        "test beside students of the same length; ranks are by mean accuracy among the methods of a column.",
        f"Cost: of the training after {length:,} steps, in a plain student's of as many steps, by {basis}; auxiliary "
        f"stages and the teacher's forward passes count. The plain {STUDENT} reaches {measured}.",
        "Equal cost: the difference to the plain student that trains as long as the method costs, interpolated "
        f"linearly in the logarithm of the cost; {MISSING} where no student trained so long, or so short. The last "
        "column divides the student's cost for the same accuracy by the method's: above 1x the method is cheaper; "
        f"never: no student reaches it, the best has {100 * curve.means[best]:.2f} % after {int(curve.steps[best]):,} "
        f"steps; less: the shortest student is above it. In brackets, the ratios at the ends of the "
        f"{100 * (1 - LEVEL):g} % interval of the accuracies' difference (Student's t).",
        *_correlations(lengths),
    ]


def _correlations(lengths: Lengths) -> list[str]:
    """Returns the rank correlations between lengths, over the methods that have all of them."""
    means = lengths.method_cells.pivot(index="method", columns="length", values="mean").dropna()
    if means.shape[1] <= 1 or len(means) <= 2:  # noqa: PLR2004  two points are always on a line
        return []
    ranks = means.rank()
    pairs = itertools.combinations(ranks.columns, 2)
    texts = [f"{a:,} and {b:,} steps {ranks[a].corr(ranks[b]):.2f}" for a, b in pairs]
    return [f"Spearman's rank correlation over {len(means)} methods: {'; '.join(texts)}."]


def _entries(lengths: Lengths) -> pd.DataFrame:
    entries = lengths.cells[_COLUMNS]
    entries.insert(0, "dataset", lengths.table.dataset)
    entries.insert(1, "model", lengths.table.model)
    entries.insert(2, "fraction", lengths.fraction)
    return entries
