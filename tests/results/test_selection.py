import pytest
from helpers.records import make_record

from kd_bench.errors import BenchError
from kd_bench.results.selection import Filters, comparable, select


@pytest.fixture
def runs(make_runs):
    return make_runs(
        make_record("Soft_logits", seed=1),
        make_record("AT", fraction=0.1),
        make_record("AT", dataset="cifar100", experiment="cifar100"),
        make_record("FT", model="tiny"),
    )


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({}, [0, 1, 2, 3]),
        ({"dataset": ["cifar100"]}, [2]),
        ({"model": ["tiny"]}, [3]),
        ({"experiment": ["digits"], "methods": ["at"]}, [1]),
        ({"methods": ["soft_logits", "FT"]}, [0, 3]),
        ({"fractions": [0.1]}, [1]),
        ({"seeds": [1]}, [0]),
    ],
)
def test_runs_are_chosen_by_their_facts(runs, filters, kept):
    assert select(runs, Filters(**filters)).index.tolist() == kept


def test_rows_stay_until_they_are_compared(runs):
    filters = Filters(methods=["at"], experiment=["digits"], dataset=["digits"])
    assert comparable(runs, filters).index.tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"dataset": ["mnist"]}, "--dataset mnist: no run has it; there are: cifar100, digits"),
        ({"methods": ["at", "atx"]}, "--methods atx: no run has it; there are: at, ft, soft_logits"),
        ({"fractions": [0.3]}, "--fractions 0.3: no run has it; there are: 0.1, 1.0"),
        ({"seeds": [9]}, "--seeds 9: no run has it; there are: 0, 1"),
        ({"methods": ["ft"], "dataset": ["cifar100"]}, "no run matches all filters"),
    ],
)
def test_a_value_that_matches_nothing_is_an_error(runs, filters, message):
    with pytest.raises(BenchError, match=message):
        select(runs, Filters(**filters))
