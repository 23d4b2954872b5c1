"""Statistics over seeds: whether methods differ from a reference by more than chance, and by how much."""

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

LEVEL = 0.05
"""The nominal probability of any false mark in a column."""
OUTLIER_RATIO = 5.0
"""A row is an outlier if its standard deviation is more than this many times the median of its column."""

_NODES = 96
_DEVIATIONS = 8.5  # 1e-17 of a normal distribution lies outside.
_TAIL = 1e-13


@dataclass(frozen=True)
class Comparison:
    """The comparison of a row with the reference of its column.

    Attributes:
        test: "dunnett" or "welch".
        p_value: Two-sided, corrected for the number of rows in the column.
        low: The lower end of the simultaneous confidence interval of the difference of the means, which excludes 0 just
            if the p-value is below `LEVEL`.
        high: Its upper end.
    """

    test: str
    p_value: float
    low: float
    high: float


def deviation(values: Sequence[float]) -> float:
    """Returns the sample standard deviation (divisor n - 1), and exactly 0 for equal values."""
    return 0.0 if len(set(values)) == 1 else float(np.std(values, ddof=1))


def compare(samples: Mapping[str, Sequence[float]], reference: Sequence[float]) -> dict[str, Comparison]:
    """Compares the rows of one column with the reference.

    Rows with a similar spread are tested together by Dunnett's test, which pools their variances. A row that is an
    outlier (a method that diverged with some seeds) would hide the differences of the others. It is tested alone, by
    Welch's test. If the reference is an outlier, all rows are tested in this way. Each row has an equal part of
    `LEVEL`: by Bonferroni's inequality the parts of Welch's tests and that of Dunnett's test have the sum `LEVEL`.

    Args:
        samples: At least two accuracies per row.
        reference: At least two accuracies.

    Returns:
        The comparison of each row. Rows without any spread to compare with are left out.
    """
    outliers = _outliers(samples, reference)
    pooled = {name: values for name, values in samples.items() if name not in outliers}
    found = dunnett(pooled, reference, len(pooled) / len(samples))
    for name in outliers:
        comparison = welch(samples[name], reference, 1 / len(samples))
        found |= {} if comparison is None else {name: comparison}
    return found


def dunnett(
    samples: Mapping[str, Sequence[float]], reference: Sequence[float], share: float = 1.0
) -> dict[str, Comparison]:
    """Compares rows with a reference by Dunnett's test and its simultaneous intervals, two-sided.

    C. W. Dunnett, "A multiple comparison procedure for comparing several treatments with a control", JASA 50 (1955),
    1096-1121; for unequal numbers of seeds, "New tables for multiple comparisons with a control", Biometrics 20 (1964),
    482-491. Seeds are not paired: the test takes all accuracies of a column as independent.

    Args:
        samples: At least two accuracies per row.
        reference: At least two accuracies.
        share: The part of `LEVEL` that these rows have together.

    Returns:
        The comparison of each row; none if no row has any spread.
    """
    groups = [reference, *samples.values()]
    degrees_of_freedom = sum(len(group) - 1 for group in groups)
    pooled = math.sqrt(sum((len(group) - 1) * deviation(group) ** 2 for group in groups) / degrees_of_freedom)
    if not samples or pooled == 0:
        return {}
    ratios = tuple(len(group) / len(reference) for group in samples.values())
    quantile = _quantile(1 - share * LEVEL, ratios, degrees_of_freedom)
    found = {}
    for name, values in samples.items():
        difference = float(np.mean(values) - np.mean(reference))
        error = pooled * math.sqrt(1 / len(values) + 1 / len(reference))
        p_value = (1 - _probability_within(abs(difference) / error, ratios, degrees_of_freedom)) / share
        half_width = quantile * error
        found[name] = Comparison(
            "dunnett", min(max(p_value, 0.0), 1.0), difference - half_width, difference + half_width
        )
    return found


def welch(first: Sequence[float], second: Sequence[float], share: float = 1.0) -> Comparison | None:
    """Compares two samples by Welch's t-test, two-sided.

    B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), 28-35.

    Args:
        first: At least two accuracies.
        second: At least two accuracies, which are subtracted.
        share: The part of `LEVEL` that this test has.

    Returns:
        The comparison; None if neither side has any spread.
    """
    if deviation(first) == deviation(second) == 0:
        return None
    from scipy.stats import ttest_ind  # The import takes a second, and is seldom needed.

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)  # Equal values on one side are no problem.
        test = ttest_ind(first, second, equal_var=False)
    interval = test.confidence_interval(1 - share * LEVEL)
    return Comparison("welch", min(1.0, float(test.pvalue) / share), float(interval.low), float(interval.high))


def _quantile(probability: float, ratios: tuple[float, ...], degrees_of_freedom: int) -> float:
    """Returns the value that the largest |t| of all rows does not exceed with this probability."""
    from scipy.optimize import brentq
    from scipy.special import stdtrit

    tail = (1 - probability) / 2
    single, bonferroni = stdtrit(degrees_of_freedom, 1 - tail), stdtrit(degrees_of_freedom, 1 - tail / len(ratios))

    def excess(limit: float) -> float:
        return _probability_within(limit, ratios, degrees_of_freedom) - probability

    return float(brentq(excess, 0.99 * single, 1.01 * bonferroni, xtol=1e-10))


def _probability_within(limit: float, ratios: tuple[float, ...], degrees_of_freedom: int) -> float:
    """Returns the probability that no row's |t| exceeds the limit, if no row differs from the reference.

    Given the reference's mean and the pooled deviation, the rows' means are independent. The integral over both is
    taken with Gauss and Legendre's nodes: Dunnett (1955), section 4, for any numbers of seeds.

    Args:
        limit: Of |t|.
        ratios: For each row, the number of its seeds, divided by that of the reference.
        degrees_of_freedom: The degrees of freedom of the pooled deviation.
    """
    from scipy.special import ndtr

    means, deviations, weights = _nodes(degrees_of_freedom)
    probability = np.ones_like(weights)
    for ratio in set(ratios):
        centre, half_width = math.sqrt(ratio) * means, limit * math.sqrt(1 + ratio) * deviations
        probability *= (ndtr(centre + half_width) - ndtr(centre - half_width)) ** ratios.count(ratio)
    return float((weights * probability).sum())


@cache
def _nodes(degrees_of_freedom: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns nodes of the reference's mean and of the pooled deviation, both in true deviations, and their weights."""
    from scipy.special import chdtri, gammaln

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    means = _DEVIATIONS * nodes
    mean_weights = _DEVIATIONS * weights * np.exp(-(means**2) / 2) / math.sqrt(2 * math.pi)
    low, high = (math.sqrt(chdtri(degrees_of_freedom, tail) / degrees_of_freedom) for tail in (1 - _TAIL, _TAIL))
    deviations = (low + high) / 2 + (high - low) / 2 * nodes
    half = degrees_of_freedom / 2
    density = math.log(2) + half * math.log(half) - gammaln(half) - half * deviations**2
    density += (degrees_of_freedom - 1) * np.log(deviations)
    deviation_weights = (high - low) / 2 * weights * np.exp(density)
    return means[:, None], deviations[None, :], mean_weights[:, None] * deviation_weights[None, :]


def _outliers(samples: Mapping[str, Sequence[float]], reference: Sequence[float]) -> list[str]:
    deviations = {name: deviation(values) for name, values in samples.items()}
    spread = deviation(reference)
    limit = OUTLIER_RATIO * statistics.median_low([spread, *deviations.values()])
    return [name for name, value in deviations.items() if value > limit or spread > limit]
