"""Values, grids and sections as text: Markdown and LaTeX for people, CSV and JSON for programs."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from tabulate import tabulate

from kd_bench.messages import one_line
from kd_bench.results.table import WORSE, mark

FORMATS = ("markdown", "csv", "latex", "json")
MISSING = "\N{EN DASH}"

_NO_ROWS = "No row can be compared."
"""In place of a grid without lines, which would be an empty box, and which LaTeX refuses."""

COUNTS, RANK, STEPS = "counts", "rank", "steps"
PARTS = (COUNTS, RANK, STEPS)
"""What tables can do without: the numbers of seeds, the mean rank, the training steps."""


@dataclass(frozen=True)
class Style:
    """How a table is printed.

    Attributes:
        without: Of `PARTS`.
        names: Names of rows in print, by their names.
        bold_best: Whether the best accuracy of each column is bold.
    """

    without: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    bold_best: bool = False


Grid = tuple[list[str], list[list[str]]]
"""The header and the lines of a table, as texts."""

_BOLD, _NOT_BOLD = "\ue000", "\ue001"
"""Around bold text until it is written: characters for private use, which no text has."""

_LATEX_SYMBOLS = str.maketrans(
    {"±": r"$\pm$", WORSE: r"$^\dagger$", MISSING: "--", "≤": r"$\le$", "·": r"$\cdot$", "|": "$|$"}
    | {_BOLD: r"\textbf{", _NOT_BOLD: "}"}
)


def section(subject: str, label_prefix: str, grids: Sequence[Grid], captions: Sequence[str], output_format: str) -> str:
    """Returns tables with their title and their captions.

    Args:
        subject: The title.
        label_prefix: What the tables show, for the label in LaTeX.
        grids: The tables.
        captions: Paragraphs; the caption in LaTeX is the first, and the others are comments above the table.
        output_format: "markdown" or "latex"; the latter needs the package booktabs.
    """
    bodies = [grid_text(header, lines, output_format) if lines else _NO_ROWS for header, lines in grids]
    if output_format == "markdown":
        return "\n\n".join([f"### {escaped(subject)}", *bodies, *map(escaped, captions)])
    caption = _latex_text(" ".join([f"{subject}.", *captions[:1]]))
    comments = [f"% {_latex_text(one_line(line))}" for line in captions[1:]]
    label = re.sub(r"[^a-z0-9]+", "-", f"{label_prefix}-{subject.replace(',', '')}".lower())
    head = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\label{{tab:{label}}}"]
    return "\n".join([*comments, *head, *bodies, r"\end{table}"])


def grid_text(header: list[str], lines: list[list[str]], output_format: str) -> str:
    """Returns a table in Markdown or LaTeX."""
    if output_format == "markdown":
        head, *body = [[escaped(text).replace("|", r"\|") for text in line] for line in (header, *lines)]
        return tabulate(body, head, tablefmt="github", disable_numparse=True)
    return tabulate(lines, header, tablefmt="latex_booktabs", disable_numparse=True).translate(_LATEX_SYMBOLS)


def frame_grid(texts: pd.DataFrame, names: Mapping[str, str] = {}) -> Grid:
    """Returns a grid of texts by method.

    Args:
        texts: A line for each method; missing texts are shown as `MISSING`.
        names: Other names for some of the methods.
    """
    lines = texts.fillna(MISSING).itertuples()
    return ["Method", *texts], [[names.get(method, method), *line] for method, *line in lines]


def bold(text: str) -> str:
    """Returns a text that LaTeX sets in bold."""
    return f"{_BOLD}{text}{_NOT_BOLD}"


def cell_text(cell: Any, counts: bool = True) -> str:
    """Returns the text of a cell in the table, e.g. `97.31 ± 0.42 (3)*, 1 failed`, with or without `(3)`."""
    if cell["n"] == 0:
        return f"failed ({cell['failed']})"
    spread = "" if pd.isna(cell["sd"]) else f" ± {100 * cell['sd']:.2f}"
    failed = f", {cell['failed']} failed" if cell["failed"] else ""
    count = f" ({cell['n']})" if counts else ""
    return f"{100 * cell['mean']:.2f}{spread}{count}{mark(cell)}{failed}"


def plain(value: Any) -> str:
    """Returns a value as text on one line; an empty text for a missing value."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return ";".join(map(str, value))
    return "" if pd.isna(value) else one_line(str(value))


def render_frame(frame: pd.DataFrame, output_format: str) -> str:
    """Returns the lines of a frame as CSV or JSON."""
    if output_format == "csv":
        return frame.map(_csv_value).to_csv(index=False, lineterminator="\n").rstrip("\n")
    entries = [{key: _json_value(value) for key, value in entry.items()} for entry in frame.to_dict("records")]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def _csv_value(value: Any) -> Any:
    """Returns a value as written in a CSV file: numbers as they are, lists joined by semicolons, dicts as JSON.

    A text gets an apostrophe, which says that it is a text, if a spreadsheet would compute it as a formula, or if
    readers would take it for a number or for nothing, such as the digest 12345e67.
    """
    if isinstance(value, float):
        return value
    text = plain(value)
    misread = isinstance(value, str | list) and text.startswith(_FORMULA)
    return f"'{text}" if misread or (isinstance(value, str) and _NO_TEXT.fullmatch(text)) else text


_FORMULA = ("=", "+", "-", "@")
"""The first letters of formulas."""
_NO_TEXT = re.compile(
    r"(?i:(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|true|false)|NA|N/A|n/a|NaN|nan|NULL|null|None|<NA>|#N/?A.*|1\.#.*"
)
"""What pandas and spreadsheets read as a number, a truth value or a missing value."""


def escaped(text: str) -> str:
    """Returns a text for Markdown in which nothing is HTML or a link."""
    return _LINK.sub(r"]\(", _TAG.sub("&lt;", text))


_TAG, _LINK = re.compile(r"<(?=[A-Za-z/!?])"), re.compile(r"\]\(")


def _json_value(value: Any) -> Any:
    """Returns a value for JSON; missing numbers become null."""
    return value if isinstance(value, list | dict) or not pd.isna(value) else None


_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
} | {symbol: f"\\{symbol}" for symbol in "&%$#_{}"}


def _latex_text(text: str) -> str:
    """Returns the text for LaTeX; text between backquotes is set in typewriter font."""
    escaped = "".join(_LATEX_ESCAPES.get(letter, letter) for letter in text).translate(_LATEX_SYMBOLS)
    return re.sub(r"`([^`]*)`", r"\\texttt{\1}", escaped)
