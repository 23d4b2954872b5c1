from typing import Annotated, Literal

import pytest

from kd_bench.checks import NonNegativeInt, Positive, Range, Share, check
from kd_bench.config.signature import check_parameters, keyword_only
from kd_bench.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "annotation"),
    [(1, int), (1.5, float), (2, Positive), ("a", str), (True, bool), (None, int | None), ("b", Literal["a", "b"])],
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
        (float("nan"), Annotated[float, Range()]),
        (1.5, Share),
        (0, Share),
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
    ],
)
def test_what_is_not_allowed_is_refused_by_key_and_value(value, annotation):
    with pytest.raises(ConfigError, match=r"method\.key.*=.*: must be"):
        check("method.key", value, annotation)


TARGET = "kd_bench.distillers.soft_logits.SoftLogits"


def test_a_signature_is_read_without_importing_it():
    assert list(keyword_only("method", TARGET)) == ["temperature", "task_weight", "distill_weight"]
    assert keyword_only("method", "kd_bench.distillers.student.Student") == {}
    inherited = keyword_only("method", "kd_bench.distillers.kd_eid.KDEID")
    assert inherited == keyword_only("method", "kd_bench.distillers.kd_svd.KDSVD")
    assert "beta" in inherited
    assert keyword_only("model", "kd_bench.networks.wide_resnet.wide_resnet")["depth"] == Annotated[int, Range(least=1)]


@pytest.mark.parametrize("target", ["soft_logits", "no.such.Module", "kd_bench.config.Missing", ""])
def test_a_target_that_does_not_exist_is_refused(target):
    with pytest.raises(ConfigError, match="_target_"):
        keyword_only("method", target)


def test_a_misspelt_parameter_is_refused_with_the_nearest():
    given = {"temprature": 1.0, "task_weight": 1.0, "distill_weight": 1.0}
    with pytest.raises(ConfigError, match=r"method\.temprature.*Did you mean temperature\?"):
        check_parameters("method", TARGET, given)
    with pytest.raises(ConfigError, match=r"method\.temperature: is missing"):
        check_parameters("method", TARGET, {"task_weight": 1.0, "distill_weight": 1.0})
