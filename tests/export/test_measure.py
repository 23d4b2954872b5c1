import numpy as np
import pytest

from kd_bench.export.measure import different, median_seconds, size_bytes


@pytest.mark.parametrize(
    ("logits", "expected"),
    [([0, 5, 1], False), ([0, 5, 5.0001], False), ([0, 5, 5.1], True), ([0, 5, np.nan], True), ([-90, 5, 5.05], False)],
)
def test_another_class_counts_only_if_rounding_does_not_explain_it(logits, expected):
    assert different(np.float32([logits]), np.array([1]), noise=1e-3).tolist() == [expected]


def test_each_image_is_compared_with_its_own_class():
    logits = np.float32([[1, 0], [1, 0], [0, 1]])
    assert different(logits, np.array([0, 1, 1]), noise=1e-3).tolist() == [False, True, False]


def test_the_median_of_the_calls_after_warming_up(monkeypatch):
    clock, calls = [0.0], []

    def call(argument):
        calls.append(argument)
        clock[0] += 100 if len(calls) <= 10 else argument  # the first ones are slow

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert median_seconds(call, [0.25, 0.25, 1]) == 0.25
    assert len(calls) >= 20
    assert set(calls) == {0.25, 1}


def test_the_size_of_a_folder_is_that_of_all_its_files(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/one").write_bytes(bytes(3))
    (tmp_path / "a/b/two").write_bytes(bytes(4))
    assert size_bytes(tmp_path / "a") == 7
    assert size_bytes(tmp_path / "a/one") == 3
