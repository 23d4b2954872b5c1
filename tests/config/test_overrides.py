"""How the command line is read before Hydra reads it."""

import pytest

from kd_bench.config.compose import composing
from kd_bench.config.overrides import escaped, flags_first, parsed, values


@pytest.mark.parametrize(
    ("argument", "read"),
    [
        ("teacher.path=runs/fraction=0.1/seed=0-0a1b", ["runs/fraction=0.1/seed=0-0a1b"]),
        (r"teacher.path=runs/seed\=0-0a1b", ["runs/seed=0-0a1b"]),
        ("teacher.path='runs/seed=0-0a1b'", ["runs/seed=0-0a1b"]),
        ("teacher.path=a/seed=0,b/seed=1", ["a/seed=0", "b/seed=1"]),
        ("method.beta=500", [500]),
    ],
)
def test_values_may_have_equals_signs_as_the_folders_of_runs_do(argument, read):
    with composing(escaped([argument])) as (_, (override,)):
        assert [one.value() for line in values(override) for one in parsed([line])] == read


@pytest.mark.parametrize("argument", ["--config-dir=a=b", "-m", "method.x={a: 1=2}", "outputs=${oc.env:A=B}"])
def test_other_arguments_stay_as_they_are(argument):
    assert escaped([argument]) == [argument]


def test_a_flag_may_be_between_overrides():
    arguments = ["method=at", "-m", "seed=0,1", "--config-dir", "conf", "epochs=3", "seed=0,1"]
    assert flags_first(arguments) == ["-m", "--config-dir", "conf", "method=at", "seed=0,1", "epochs=3", "seed=0,1"]
