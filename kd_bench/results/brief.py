"""A table in brief, for a page that links to the whole one: accuracies, marks and a short caption."""

from kd_bench.results.caption import seed_counts
from kd_bench.results.significance import LEVEL
from kd_bench.results.table import BETTER, CELL, WORSE, Table, fraction_name
from kd_bench.results.text import MISSING, Grid, cell_text, frame_grid, grid_text


def render_brief(table: Table, output_format: str) -> str:
    """Returns the table without ranks, steps and numbers of seeds, and its caption.

    Args:
        table: The table.
        output_format: "markdown" or "latex".
    """
    return "\n\n".join([grid_text(*_grid(table), output_format), _caption(table)])


def _grid(table: Table) -> Grid:
    texts = [_text(cell) for cell in table.cells.to_dict("records")]
    return frame_grid(table.shaped(table.cells.assign(text=texts).set_index(CELL)["text"]))


def _text(cell: dict) -> str:
    """Returns a text such as `97.31 ± 0.42*`, without the runs that failed."""
    return cell_text(cell | {"failed": 0}, counts=False) if cell["n"] else MISSING


def _caption(table: Table) -> str:
    """Says what a cell is, of how many seeds, what the marks are, and how many images there were."""
    images = table.runs.dropna(subset="train_images").groupby("fraction", as_index=False)["train_images"].max()
    counted = [f"{count:.0f} ({fraction_name(fraction)})" for fraction, count in images.itertuples(index=False)]
    return (
        f"{table.dataset}, {table.model}: test accuracy in % after the last epoch, mean ± standard deviation over "
        f"{seed_counts(table)} seeds. `{BETTER}` better, `{WORSE}` worse than the {table.reference}: Dunnett's test, "
        f"{100 * LEVEL:g} % per column. Training images: {', '.join(reversed(counted))}."
    )
