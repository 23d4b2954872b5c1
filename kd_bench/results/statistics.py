"""What several seeds say: their mean, their spread, and whether two methods differ by more than chance."""

import math
import statistics
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float:
    """Returns the arithmetic mean of at least one value."""
    return statistics.fmean(values)


def standard_deviation(values: Sequence[float]) -> float | None:
    """Returns the sample standard deviation (divisor n - 1), None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def welch_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns the two-sided p-value of Welch's t-test: how surprising the means' difference is if there is none.

    With a = s1²/n1 and b = s2²/n2:  t = (m1 - m2) / sqrt(a + b),  on  (a + b)² / (a²/(n1-1) + b²/(n2-1))  degrees of
    freedom. B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947), 28-35.

    Returns:
        The p-value; None where the test says nothing: fewer than two values on a side, or no spread on either.
    """
    if min(len(first), len(second)) <= 1:
        return None
    a, b = statistics.variance(first) / len(first), statistics.variance(second) / len(second)
    if a + b == 0:
        return None
    from scipy.special import stdtr  # Takes half a second: only who compares pays.

    freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    t = (mean(first) - mean(second)) / math.sqrt(a + b)
    return float(2 * stdtr(freedom, -abs(t)))
