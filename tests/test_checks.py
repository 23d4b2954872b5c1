from typing import Annotated, Literal, Optional

import pytest

from kd_bench.checks import Count, ExactShare, Name, NonNegativeInt, Positive, Range, RisingShares, Share, check
from kd_bench.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        *(
            (1, int),
            (1.5, float),
            (2, Positive),
            ("a", str),
            (True, bool),
            (None, int | None),
            ("b", Literal["a", "b"]),
        ),
        *((None, Optional[str]), ("a", Optional[str]), ((1, "a"), tuple[int, str]), ((1, 2, 3), tuple[int, ...])),  # noqa: UP045
        *((0.25, ExactShare), (0, ExactShare), ("20/240", ExactShare), ("0/1", ExactShare)),
        *(([], RisingShares), ([0.3, 0.6], RisingShares), (10**6, Count)),
        *(("digits", Name), ("cifar10_corrupted/fog_1", Name), ("mnist:3.0.1", Name), ("Zahlen, größer", Name)),
    ],
)
def test_what_is_allowed_passes(value, annotation):
    assert check("key", value, annotation) == value


def test_a_whole_number_becomes_a_float_where_one_is_asked_for():
    assert isinstance(check("key", 1, Share), float)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (0, Positive),
        (-1.0, Positive),
        (float("nan"), Positive),
        (float("inf"), float),
        (1e308, Positive),
        (-1e200, float),
        (float("nan"), Annotated[float, Range()]),
        (1.5, Share),
        (0, Share),
        (1, ExactShare),
        (-0.5, ExactShare),
        (True, ExactShare),
        ("240/240", ExactShare),
        ("-1/2", ExactShare),
        ("1/0", ExactShare),
        ("1 / 2", ExactShare),
        ("0.5", ExactShare),
        ("a quarter", ExactShare),
        ("1/1000000000", ExactShare),
        (-1, NonNegativeInt),
        (1.5, int),
        (True, int),
        (True, float),
        ("1", float),
        (None, int),
        (1, bool),
        (1, str),
        ("c", Literal["a", "b"]),
        (1, Literal["auto", True, False]),
        (3, list[Share]),
        ([0.5, 2], list[Share]),
        ("x", NonNegativeInt | None),
        (1, Optional[str]),  # noqa: UP045
        ([1], tuple[int, int]),
        ([1, "a"], tuple[int, int]),
        ([0.6, 0.3], RisingShares),
        ([0.3, 0.3], RisingShares),
        (10**6 + 1, Count),
        *((name, Name) for name in ("..", "../../evil", "a/../b", "/tmp/a", "~/a", "", "a//b", "a/", "a" * 101)),
    ],
)
def test_what_is_not_allowed_is_refused_by_key_and_value(value, annotation):
    with pytest.raises(ConfigError, match=r"method\.key.*=.*: must be"):
        check("method.key", value, annotation)
