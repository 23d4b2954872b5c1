import random

import pytest
from scipy import stats

from kd_bench.results.statistics import mean, standard_deviation, welch_p_value


def test_mean_and_deviation_by_hand():
    assert mean([0.97, 0.98, 0.99]) == pytest.approx(0.98)
    assert standard_deviation([0.97, 0.98, 0.99]) == pytest.approx(0.01)
    assert standard_deviation([0.97]) is None


@pytest.mark.parametrize("sizes", [(2, 2), (3, 3), (3, 5), (10, 2)])
@pytest.mark.parametrize("shift", [0, 0.01, 0.5])
def test_welch_agrees_with_scipy(sizes, shift):
    draw = random.Random(str((sizes, shift)))
    first, second = (
        [draw.gauss(0.9 + by, 0.01) for _ in range(size)] for size, by in zip(sizes, (0, shift), strict=True)
    )
    assert welch_p_value(first, second) == pytest.approx(
        stats.ttest_ind(first, second, equal_var=False).pvalue, rel=1e-9
    )


def test_spread_on_one_side_is_enough():
    # Welch's test against a constant is the one-sample test.
    values = [0.91, 0.92, 0.93]
    assert welch_p_value([0.9, 0.9, 0.9], values) == pytest.approx(stats.ttest_1samp(values, 0.9).pvalue)


@pytest.mark.parametrize("first", [[0.9], [], [0.9, 0.9, 0.9]])
def test_without_spread_or_repetition_there_is_no_test(first):
    assert welch_p_value(first, [0.8, 0.8]) is None
