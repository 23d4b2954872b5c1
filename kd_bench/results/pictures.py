"""Pictures of tables as SVG files."""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from kd_bench.results.look import Picture
from kd_bench.results.picture_accuracy import draw_accuracy
from kd_bench.results.picture_curves import draw_curves
from kd_bench.results.picture_gains import draw_gains
from kd_bench.results.table import Table
from kd_bench.runs.files import make_folder, write_atomically


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
    make_folder(folder)
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
    """Returns a picture as Vega-Lite, with its data, however many points it has.

    Its numbers are rounded, because the last digits of means and intervals differ between processors.
    """
    with alt.data_transformers.enable("default", max_rows=None):
        return json.loads(picture.to_json(), parse_float=lambda digits: round(float(digits), _DECIMALS))


_DECIMALS = 6
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
