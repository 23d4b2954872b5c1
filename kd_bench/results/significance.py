"""What several seeds say: whether methods differ from a reference by more than chance, and by how much.

Everything is computed exactly, from the distributions in `scipy.special`. `scipy.stats.dunnett` draws random numbers
for the same p-values: its third digit depends on the draw, and a table would take seconds.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

LEVEL = 0.05
OUT_OF_LINE = 3.0
"""A row is out of line if its standard deviation is above this many times the median one of its column."""

_POINTS = 64


def deviation(values: Sequence[float]) -> float:
    """Returns the sample standard deviation (divisor n - 1), and exactly 0 for equal values."""
    return 0.0 if len(set(values)) == 1 else float(np.std(values, ddof=1))


def compare(samples: Mapping[str, Sequence[float]], reference: Sequence[float]) -> dict[str, tuple[str, float]]:
    """Tests in one column which rows differ from the reference, two-sided.

    Rows whose spread is like the others' are tested together, by Dunnett's test, which pools their variances. A row
    that is out of line (a method that diverged with some seeds) would hide the others: it is tested by itself, by
    Welch's test, as are all rows if the reference is out of line. Bonferroni's correction holds among these.

    Args:
        samples: At least two accuracies per row.
        reference: At least two accuracies.

    Returns:
        The test, "dunnett" or "welch", and the p-value of each row. A row is left out where there is no spread to
        measure a difference by.
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
    """Returns the p-values of Dunnett's test: how surprising a row's difference is, given that there are several rows.

    t_i = (m_i - m_0) / (s sqrt(1/n_i + 1/n_0)), with s² the pooled variance on v degrees of freedom, and
    p_i = 1 - P(max_j |T_j| <= |t_i|). With l_j = sqrt(n_j / (n_j + n_0)) the probability is the integral of
    prod_j [F((l_j z + |t_i| s) / sqrt(1 - l_j²)) - F((l_j z - |t_i| s) / sqrt(1 - l_j²))], F the normal distribution,
    over a normal z and s² ~ chi²_v / v. C. W. Dunnett, "A multiple comparison procedure for comparing several
    treatments with a control", JASA 50 (1955), 1096-1121.

    Returns:
        The p-values to six digits; none if no row has any spread.
    """
    groups = [reference, *samples.values()]
    counts = np.array([len(group) for group in groups])
    freedom = int(np.sum(counts - 1))
    variance = sum((len(group) - 1) * deviation(group) ** 2 for group in groups) / freedom
    if not samples or variance == 0:
        return {}
    errors = np.sqrt(variance * (1 / counts[1:] + 1 / counts[0]))
    means = np.array([np.mean(group) for group in groups])
    statistics = np.abs(means[1:] - means[0]) / errors
    loadings = np.sqrt(counts[1:] / (counts[1:] + counts[0]))
    p_values = [1 - _maximum_below(statistic, loadings, freedom) for statistic in statistics]
    return {name: max(0.0, round(float(p), 6)) for name, p in zip(samples, p_values, strict=True)}


def welch_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns the two-sided p-value of Welch's t-test: how surprising the means' difference is if there is none.

    With a = s1²/n1 and b = s2²/n2:  t = (m1 - m2) / sqrt(a + b),  on  (a + b)² / (a²/(n1-1) + b²/(n2-1))  degrees of
    freedom. B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947), 28-35.

    Returns:
        The p-value to six digits; None if neither side has any spread.
    """
    a, b = deviation(first) ** 2 / len(first), deviation(second) ** 2 / len(second)
    if a + b == 0:
        return None
    from scipy.special import stdtr  # Takes half a second: only who compares pays.

    freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    t = (np.mean(first) - np.mean(second)) / np.sqrt(a + b)
    return round(float(2 * stdtr(freedom, -abs(t))), 6)


def paired_gain(method: pd.Series, reference: pd.Series) -> tuple[float, float, int]:
    """Returns the mean difference over the seeds that both have: such runs share initialisation and batches.

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


def _maximum_below(statistic: float, loadings: np.ndarray, freedom: int) -> float:
    """Returns P(max_j |T_j| <= statistic), by Gauss-Legendre quadrature over z and s."""
    from scipy.special import ndtr

    z, z_weights = _quadrature(-8, 8)
    z_weights *= np.exp(-(z**2) / 2)
    width = 8 / np.sqrt(2 * freedom)
    s, s_weights = _quadrature(max(0, 1 - width), 1 + width)
    # The density is scaled to 1 at its peak, or it would vanish for many degrees of freedom.
    s_weights *= np.exp((freedom - 1) * np.log(s) + freedom * (1 - s**2) / 2)
    inside = np.ones((_POINTS, _POINTS))
    for loading, times in zip(*np.unique(loadings, return_counts=True), strict=True):
        scale = np.sqrt(1 - loading**2)
        center, reach = loading * z[:, None] / scale, statistic * s[None, :] / scale
        inside *= (ndtr(center + reach) - ndtr(center - reach)) ** times
    return float(z_weights @ inside @ s_weights / (z_weights.sum() * s_weights.sum()))


_legendre = cache(np.polynomial.legendre.leggauss)


def _quadrature(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    points, weights = _legendre(_POINTS)
    return low + (points + 1) * (high - low) / 2, weights * (high - low) / 2
