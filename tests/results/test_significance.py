import itertools

import numpy as np
import pytest
from scipy import stats

from kd_bench.results.significance import LEVEL, compare, deviation, dunnett, welch


def draw(generator, *sizes, shift=0.0):
    return [generator.normal(0.9 + shift, 0.01, size).tolist() for size in sizes]


def test_a_deviation_by_hand():
    assert deviation([0.97, 0.98, 0.99]) == pytest.approx(0.01)
    assert deviation([0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2]) == 0


@pytest.mark.parametrize(("size", "of_reference"), [(4, 3), (2, 2), (10, 10)])
def test_dunnett_for_one_method_is_students_t_test(generator, size, of_reference):
    reference, sample = draw(generator, of_reference, size)
    expected = stats.ttest_ind(sample, reference)
    found = dunnett({"a": sample}, reference)["a"]
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95), abs=1e-9)


@pytest.mark.parametrize("sizes", [(3, *[3] * 26), (3, *[3] * 13), (5, 3, 4, 10, 2), (2, 2, 2), (10, *[10] * 4)])
def test_dunnetts_p_values_and_intervals_are_scipys(generator, sizes):
    reference, *samples = draw(generator, *sizes, shift=0.005)
    found = dunnett(dict(enumerate(samples)), reference).values()
    # SciPy draws random numbers: the mean over several seeds is closer to the truth.
    tests = [stats.dunnett(*samples, control=reference, rng=seed) for seed in range(5)]
    p_values = np.mean([test.pvalue for test in tests], axis=0)
    assert [one.p_value for one in found] == pytest.approx(p_values, abs=1e-4)
    # Its intervals differ by as much as its optimiser's tolerance.
    assert np.array([one.low for one in found]) == pytest.approx(tests[0].confidence_interval(0.95).low, abs=1e-3)


def test_the_quantile_is_that_of_dunnetts_table():
    # Two-sided, 5 %, five treatments, six degrees of freedom: 3.39. The pooled deviation and the error are 1.
    found = dunnett({number: [0.0, 2**0.5] for number in range(5)}, [0.0, 2**0.5])[0]
    assert (found.high - found.low) / 2 == pytest.approx(3.39, abs=0.005)


def test_more_methods_make_the_same_difference_less_surprising(generator):
    reference, sample, other = draw(generator, 3, 3, 3)
    alone = dunnett({"a": sample}, reference)["a"].p_value
    assert dunnett({"a": sample, "b": other}, reference)["a"].p_value > alone


def test_a_mark_and_its_interval_never_contradict_each_other():
    generator = np.random.default_rng(5)
    for _ in range(40):
        reference, *samples = draw(generator, 3, *[3] * 4)
        wild = generator.uniform(0.2, 0.9, 3).tolist()
        shifted = {name: (np.array(values) + 0.012 * name).tolist() for name, values in enumerate(samples)}
        for found in compare(shifted | {"wild": wild}, reference).values():
            assert (found.p_value < LEVEL) == (not found.low <= 0 <= found.high)
            assert found.low < found.high


def test_without_any_difference_a_column_has_a_false_mark_in_one_case_of_twenty():
    generator = np.random.default_rng(3)
    columns = 400
    false = sum(
        min(
            found.p_value for found in compare(dict(enumerate(draw(generator, *[3] * 5))), *draw(generator, 3)).values()
        )
        < LEVEL
        for _ in range(columns)
    )
    assert 0.02 < false / columns < 0.08


def test_rows_that_are_tested_alone_take_their_part_of_the_level(generator):
    reference, *calm = draw(generator, 3, *[3] * 6)
    wild = {"x": [0.1, 0.5, 0.9], "y": [0.2, 0.4, 0.9]}
    found = compare(dict(enumerate(calm)) | wild, reference)
    assert {name for name, one in found.items() if one.test == "welch"} == {"x", "y"}
    alone = stats.ttest_ind(wild["x"], reference, equal_var=False)
    assert found["x"].p_value == pytest.approx(min(1, 8 * alone.pvalue))
    assert (found["x"].low, found["x"].high) == pytest.approx(alone.confidence_interval(1 - LEVEL / 8))
    pooled = dunnett(dict(enumerate(calm)), reference)
    assert [found[name].p_value for name in range(6)] == pytest.approx(
        [min(1, 8 / 6 * pooled[name].p_value) for name in range(6)]
    )


def test_spread_on_one_side_is_enough_for_welch():
    # Welch's test against a constant is the one-sample test.
    values = [0.91, 0.92, 0.93]
    expected = stats.ttest_1samp(values, 0.9)
    found = welch(values, [0.9, 0.9, 0.9])
    assert found.p_value == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low - 0.9, high - 0.9))


def test_without_spread_there_is_no_test():
    assert welch([0.9, 0.9, 0.9], [0.8, 0.8]) is None
    assert compare({"a": [0.9, 0.9], "b": [0.8, 0.8]}, [0.7, 0.7]) == {}


def test_with_a_reference_out_of_line_every_row_is_tested_apart(generator):
    samples = dict(enumerate(draw(generator, *[3] * 6)))
    assert {one.test for one in compare(samples, [0.1, 0.5, 0.9]).values()} == {"welch"}


def test_a_row_without_spread_is_not_out_of_line_and_has_an_interval(generator):
    reference, *samples = draw(generator, 3, 3, 3)
    found = compare({"same": [0.95, 0.95, 0.95], "a": samples[0], "b": samples[1]}, reference)
    assert {one.test for one in found.values()} == {"dunnett"}
    assert found["same"].high - found["same"].low == pytest.approx(found["a"].high - found["a"].low)


def test_where_most_rows_have_no_spread_the_others_are_tested_apart():
    flat = {name: [0.9, 0.9, 0.9] for name in "abc"}
    found = compare(flat | {"d": [0.95, 0.96, 0.97]}, [0.9, 0.9, 0.9])
    assert [(name, one.test) for name, one in found.items()] == [("d", "welch")]


def test_the_order_of_rows_does_not_matter(generator):
    reference, *samples = draw(generator, 3, 2, 3, 5)
    found = [compare(dict(order), reference) for order in itertools.permutations(enumerate(samples))]
    for other in found[1:]:
        for name, one in found[0].items():
            assert one.p_value == pytest.approx(other[name].p_value, abs=1e-12)
