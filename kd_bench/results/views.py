"""What `aggregate.py` shows of tables: accuracies, gains, lengths and so on, as text and as pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kd_bench.errors import BenchError
from kd_bench.results.brief import render_brief
from kd_bench.results.lengths import Lengths, StepCosts, build_lengths
from kd_bench.results.lengths_text import render_lengths
from kd_bench.results.literature import render_literature
from kd_bench.results.overview import render_overview
from kd_bench.results.render import render_tables
from kd_bench.results.table import Table, fraction_name
from kd_bench.results.text import Style

ACCURACY, GAINS, LENGTHS, LITERATURE = "accuracy", "gains", "lengths", "literature"
BRIEF, OVERVIEW = "brief", "overview"
"""Views that only the blocks of files have."""


@dataclass(frozen=True)
class View:
    """A way to show tables.

    Attributes:
        name: One of the constants of this module.
        columns: More columns of tables of accuracies.
        costs: The measured costs of steps, for lengths.
        published: Published accuracies, for the literature.
        style: How tables of accuracies and gains are printed.
    """

    name: str = ACCURACY
    columns: Sequence[str] = ()
    costs: StepCosts | None = None
    published: pd.DataFrame | None = None
    style: Style = field(default_factory=Style)

    def text(self, tables: Sequence[Table], output_format: str) -> str:
        """Returns the tables in one of `text.FORMATS`.

        Raises:
            BenchError: There is nothing to show.
        """
        if self.name == LENGTHS:
            return render_lengths(self._lengths(tables), output_format)
        if self.name == LITERATURE:
            return self._literature(tables, output_format)
        if self.name == BRIEF:
            return "\n\n".join(render_brief(table, output_format) for table in tables)
        if self.name == OVERVIEW:
            return render_overview(tables, self.costs)
        return render_tables(tables, output_format, self.name == GAINS, self.columns, self.style)

    def pictures(self, tables: Sequence[Table], name: str = "") -> Mapping[str, Any]:
        """Draws the pictures, by the names of their files.

        Args:
            tables: The tables.
            name: The beginning of the names.

        Raises:
            BenchError: There is nothing to draw.
        """
        from kd_bench.results.picture_lengths import draw_lengths  # Altair takes half a second to import.
        from kd_bench.results.pictures import stem, table_pictures

        if self.name in (LITERATURE, BRIEF, OVERVIEW):
            return {}
        if self.name != LENGTHS:
            return table_pictures(tables, name)
        all_lengths = self._lengths(tables)
        drawn = {}
        for lengths in all_lengths:
            subject = [lengths.table.dataset, lengths.table.model, fraction_name(lengths.fraction)]
            drawn[stem(name, *([] if name and len(all_lengths) == 1 else subject), LENGTHS)] = draw_lengths(lengths)
        return drawn

    def _literature(self, tables: Sequence[Table], output_format: str) -> str:
        if self.published is None or output_format in ("csv", "json"):
            raise BenchError("the literature is shown as markdown or latex, beside a file of published accuracies")
        texts = [
            render_literature(table, build_lengths(table, self.costs), self.published, output_format)
            for table in tables
        ]
        return "\n\n".join(texts)

    def _lengths(self, tables: Sequence[Table]) -> list[Lengths]:
        all_lengths = [lengths for table in tables for lengths in build_lengths(table, self.costs)]
        if not all_lengths:
            raise BenchError("no fraction has several lengths of the Student and of a method: train with other epochs=")
        return all_lengths
