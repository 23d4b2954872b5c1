"""Simulates how often a column without any difference gets a mark, with the spreads that methods really have.

python -m benchmarks.false_marks docs/data/digits_ten.jsonl.gz [--seeds 3,5,10] [--columns 2000]

Each simulated column has the rows of the bundle, all with one true accuracy: each row draws normal accuracies with the
standard deviation that its ten or more seeds have in the bundle, or all with the same deviation. In the second half,
seeds are blocks: a quarter of the variance is common to all rows. `Paired` is the alternative that the tables do not
use: Student's t-test of the differences by seed, with Holm's correction.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats
from tabulate import tabulate

from kd_bench.results import load_tables
from kd_bench.results.rows import STUDENT
from kd_bench.results.significance import LEVEL, compare

_ENOUGH = 10
_COMMON = 0.25


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the share of columns with a mark, in percent."""
    options = _parse(arguments)
    deviations, of_student = _deviations(options.bundles)
    print(
        f"{len(deviations)} rows with {_ENOUGH} seeds or more; deviations of {100 * deviations.min():.2f} to "
        f"{100 * deviations.max():.2f} points, the Student's {100 * of_student:.2f}"
    )
    pooled = float(np.sqrt(np.mean(np.square(deviations))))
    spreads = {"own": (deviations, of_student), "equal": (np.full_like(deviations, pooled), pooled)}
    lines = []
    for common in (0.0, _COMMON):
        for name, (rows, student) in spreads.items():
            for seeds in options.seeds:
                drawn = _columns(rows, student, seeds, common, options.columns)
                lines.append([name, common, seeds, *_shares(drawn)])
    header = ["Deviations", "Common variance", "Seeds", "Dunnett, %", "Paired, %"]
    print(tabulate(lines, header, tablefmt="github", floatfmt=("", ".2f", "", ".1f", ".1f")))


def _deviations(bundles: Sequence[Path]) -> tuple[np.ndarray, float]:
    """Returns the standard deviations of the methods, and of the first student, in the bundles' tables."""
    methods: list[float] = []
    students: list[float] = []
    for table in load_tables(*bundles):
        labels = {row.name: row.label for row in table.rows}
        usual = {row.name for row in table.rows if row.has_default_method}
        cells = table.cells[(table.cells["n"] >= _ENOUGH) & table.cells["row"].isin(usual)]
        for row, spread in zip(cells["row"], cells["sd"], strict=True):
            (students if labels[row] == STUDENT else methods).append(spread)
    return np.array(methods), students[0]


def _columns(rows: np.ndarray, student: float, seeds: int, common: float, count: int) -> np.ndarray:
    """Returns simulated accuracies `[column, row, seed]`; row 0 is the student's."""
    generator = np.random.default_rng(seeds)
    spreads = np.array([student, *rows])[:, None]
    own = generator.normal(size=(count, len(spreads), seeds))
    shared = generator.normal(size=(count, 1, seeds))
    return np.array(spreads * (np.sqrt(1 - common) * own + np.sqrt(common) * shared))


def _shares(columns: np.ndarray) -> tuple[float, float]:
    """Returns the share of columns with a false mark, in percent: by the tables' test, and by the paired one."""
    marked = paired = 0
    for student, *rows in columns:
        found = compare({str(place): row.tolist() for place, row in enumerate(rows)}, student.tolist())
        marked += min(one.p_value for one in found.values()) < LEVEL
        # Holm's smallest p-value is Bonferroni's.
        paired += len(rows) * stats.ttest_rel(rows, student[None], axis=1).pvalue.min() < LEVEL
    return 100 * marked / len(columns), 100 * paired / len(columns)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[3, 5, 10])
    parser.add_argument("--columns", type=int, default=2000)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
