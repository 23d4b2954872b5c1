"""Statistics over seeds: whether methods differ from a reference by more than chance, and by how much."""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

LEVEL = 0.05
OUT_OF_LINE = 5.0
"""A row is out of line if its standard deviation is more than this many times the median of its column."""


def deviation(values: Sequence[float]) -> float:
    """Returns the sample standard deviation (divisor n - 1), and exactly 0 for equal values."""
    return 0.0 if len(set(values)) == 1 else float(np.std(values, ddof=1))


def compare(samples: Mapping[str, Sequence[float]], reference: Sequence[float]) -> dict[str, tuple[str, float]]:
    """Tests which rows of one column differ from the reference, two-sided.

    Rows with a similar spread are tested together by Dunnett's test, which pools their variances. A row that is out of
    line (a method that diverged with some seeds) would hide the differences of the others. It is tested alone, by
    Welch's test. If the reference is out of line, all rows are tested in this way. The p-values of Welch's tests get
    Bonferroni's correction.

    Args:
        samples: At least two accuracies per row.
        reference: At least two accuracies.

    Returns:
        The test, "dunnett" or "welch", and the p-value of each row. Rows without any spread to compare with are left
        out.
    """
    apart = _out_of_line(samples, reference)
    pooled = {name: values for name, values in samples.items() if name not in apart}
    found = {name: ("dunnett", p_value) for name, p_value in dunnett_p_values(pooled, reference).items()}
    for name in apart:
        p_value = welch_p_value(samples[name], reference)
        if p_value is not None:
            found[name] = ("welch", min(1.0, len(apart) * p_value))
    return found


def dunnett_p_values(samples: Mapping[str, Sequence[float]], reference: Sequence[float]) -> dict[str, float]:
    """Returns the p-values of Dunnett's test, which takes the number of rows into account.

    C. W. Dunnett, "A multiple comparison procedure for comparing several treatments with a control", JASA 50 (1955),
    1096-1121. SciPy integrates with random numbers: a fixed seed makes a table reproducible.

    Returns:
        The p-values to four digits, about SciPy's accuracy; none if no row has any spread.
    """
    if not samples or all(deviation(group) == 0 for group in (reference, *samples.values())):
        return {}
    from scipy.stats import dunnett  # The import takes half a second, and is needed only here.

    with warnings.catch_warnings():
        # Equal accuracies in one row are no problem, because the variance is pooled.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        p_values = dunnett(*samples.values(), control=reference, rng=0).pvalue
    return {name: round(float(p), 4) for name, p in zip(samples, p_values, strict=True)}


def welch_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns the two-sided p-value of Welch's t-test of equal means.

    B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), 28-35.

    Returns:
        The p-value to four digits; None if neither side has any spread.
    """
    if deviation(first) == deviation(second) == 0:
        return None
    from scipy.stats import ttest_ind_from_stats

    groups = [(np.mean(values), deviation(values), len(values)) for values in (first, second)]
    return round(float(ttest_ind_from_stats(*groups[0], *groups[1], equal_var=False).pvalue), 4)


def paired_gain(method: pd.Series, reference: pd.Series) -> tuple[float, float, int]:
    """Returns the mean difference over the seeds that both have. Runs of one seed share initialisation and batches.

    Args:
        method: Accuracies by seed.
        reference: Accuracies by seed.

    Returns:
        The mean, the half-width of its 95 % confidence interval (Student's t, n - 1 degrees of freedom; NaN for fewer
        than two seeds), and the number of seeds n. Without a common seed the mean is NaN.
    """
    differences = (method - reference).dropna()
    count = len(differences)
    if count <= 1:
        return float(differences.mean()), math.nan, count
    from scipy.special import stdtrit

    quantile = float(stdtrit(count - 1, 1 - LEVEL / 2))
    return float(differences.mean()), quantile * deviation(differences.tolist()) / count**0.5, count


def _out_of_line(samples: Mapping[str, Sequence[float]], reference: Sequence[float]) -> list[str]:
    deviations = {name: deviation(values) for name, values in samples.items()}
    spread = deviation(reference)
    ordered = sorted([spread, *deviations.values()])
    limit = OUT_OF_LINE * ordered[(len(ordered) - 1) // 2]
    return [name for name, own in deviations.items() if own > limit or spread > limit]
