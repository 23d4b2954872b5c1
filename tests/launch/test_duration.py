"""Durations in words."""

import pytest

from kd_bench.launch.duration import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "about 1 s"),
        (44.6, "about 45 s"),
        (96, "about 1.6 min"),
        (2400, "about 40 min"),
        (5300, "about 88 min"),
        (9000, "about 2.5 h"),
        (86400, "about 24 h"),
        (3 * 86400, "about 3 days"),
    ],
)
def test_a_duration_has_one_unit_and_about_two_digits(seconds, text):
    assert format_duration(seconds) == text
