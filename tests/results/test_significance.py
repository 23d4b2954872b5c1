import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kd_bench.results.significance import compare, deviation, dunnett_p_values, paired_gain, welch_p_value


def draw(generator, *sizes, shift=0.0):
    return [generator.normal(0.9 + shift, 0.01, size).tolist() for size in sizes]


def test_a_deviation_by_hand():
    assert deviation([0.97, 0.98, 0.99]) == pytest.approx(0.01)
    assert deviation([0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2]) == 0


def test_dunnett_for_one_method_is_students_t_test(generator):
    reference, sample = draw(generator, 3, 4)
    expected = stats.ttest_ind(sample, reference).pvalue
    assert dunnett_p_values({"a": sample}, reference)["a"] == pytest.approx(expected, abs=1e-3)


def test_more_methods_make_the_same_difference_less_surprising(generator):
    reference, sample, other = draw(generator, 3, 3, 3)
    alone = dunnett_p_values({"a": sample}, reference)["a"]
    assert dunnett_p_values({"a": sample, "b": other}, reference)["a"] > alone


def test_the_same_numbers_have_the_same_p_values_to_the_last_digit(generator):
    reference, *samples = draw(generator, 3, *[3] * 13)
    found = [dunnett_p_values(dict(enumerate(samples)), reference) for _ in range(2)]
    assert found[0] == found[1]


def test_without_any_difference_a_column_has_a_false_mark_in_one_case_of_twenty():
    generator = np.random.default_rng(3)
    columns = 200
    false = sum(
        min(p for _, p in compare(dict(enumerate(draw(generator, *[3] * 5))), *draw(generator, 3)).values()) < 0.05
        for _ in range(columns)
    )
    assert 0.01 < false / columns < 0.1


def test_spread_on_one_side_is_enough_for_welch():
    # Welch's test against a constant is the one-sample test.
    values = [0.91, 0.92, 0.93]
    assert welch_p_value([0.9, 0.9, 0.9], values) == pytest.approx(stats.ttest_1samp(values, 0.9).pvalue, abs=1e-3)


def test_without_spread_there_is_no_test():
    assert welch_p_value([0.9, 0.9, 0.9], [0.8, 0.8]) is None
    assert compare({"a": [0.9, 0.9], "b": [0.8, 0.8]}, [0.7, 0.7]) == {}


def test_rows_out_of_line_are_tested_apart_with_bonferronis_correction(generator):
    reference, *calm = draw(generator, 3, *[3] * 6)
    wild = {"x": [0.1, 0.5, 0.9], "y": [0.2, 0.4, 0.9]}
    found = compare(dict(enumerate(calm)) | wild, reference)
    assert {name for name, (test, _) in found.items() if test == "welch"} == {"x", "y"}
    assert found["x"][1] == pytest.approx(min(1, 2 * welch_p_value(wild["x"], reference)))
    assert {name: found[name][1] for name in range(6)} == dunnett_p_values(dict(enumerate(calm)), reference)


def test_with_a_reference_out_of_line_every_row_is_tested_apart(generator):
    samples = dict(enumerate(draw(generator, *[3] * 6)))
    assert {test for test, _ in compare(samples, [0.1, 0.5, 0.9]).values()} == {"welch"}


def test_a_row_without_spread_is_not_out_of_line(generator):
    reference, *samples = draw(generator, 3, 3, 3)
    found = compare({"same": [0.95, 0.95, 0.95], "a": samples[0], "b": samples[1]}, reference)
    assert {test for test, _ in found.values()} == {"dunnett"}


def test_where_most_rows_have_no_spread_the_others_are_tested_apart():
    flat = {name: [0.9, 0.9, 0.9] for name in "abc"}
    found = compare(flat | {"d": [0.95, 0.96, 0.97]}, [0.9, 0.9, 0.9])
    assert list(found) == ["d"]
    assert found["d"][0] == "welch"


def test_a_paired_gain_is_over_common_seeds():
    method, reference = pd.Series({0: 0.83, 1: 0.92, 2: 0.89, 9: 0.1}), pd.Series({0: 0.8, 1: 0.9, 2: 0.85, 7: 0.2})
    mean, reach, count = paired_gain(method, reference)
    interval = stats.ttest_rel(method[[0, 1, 2]], reference[[0, 1, 2]]).confidence_interval(0.95)
    assert (mean, count) == (pytest.approx(0.03), 3)
    assert (mean - reach, mean + reach) == (pytest.approx(interval.low), pytest.approx(interval.high))
