import pytest
from helpers.records import folder_of, make_seeds

from kd_bench.results.frame import make_frame, split_repeats
from kd_bench.results.sources import FoundRun
from kd_bench.results.table import build_tables


@pytest.fixture
def make_runs():
    """Makes the data frame of records, without files."""

    def make(*records):
        return make_frame([FoundRun("outputs", folder_of(record), record) for record in records])

    return make


@pytest.fixture
def table(make_runs):
    """Makes the one table of these records."""

    def make(*records, **more):
        runs, repeats = split_repeats(make_runs(*records))
        (only,) = build_tables(runs, repeats=repeats, **more)
        return only

    return make


@pytest.fixture
def seeds():
    return make_seeds
