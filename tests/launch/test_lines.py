"""The lines that a file gets while runs are done."""

from dataclasses import dataclass, field

import pytest

from kd_bench.config.compose import jobs
from kd_bench.launch.lines import Lines
from kd_bench.launch.sweep import Running
from kd_bench.runs.progress import Progress


@dataclass
class Looked:
    """A sweep as the last check found it."""

    over: int = 0
    asked_for: int = 63
    failed: str = ""
    seconds_left: float | None = None
    now: list = field(default_factory=list)

    def running(self):
        return self.now


@pytest.fixture(scope="module")
def student():
    return jobs(["method=student"])[0]


def at(run, epoch, accuracy=None, epochs=200):
    return [Running(run, Progress("main", epoch, epochs, epoch, epochs - epoch, 3.0, accuracy))]


def test_a_run_has_a_line_at_each_tenth_of_its_epochs(student):
    sweep = Looked()
    lines = Lines(sweep, 0.0)
    found = {}
    for epoch in range(201):
        sweep.now = at(student, epoch, accuracy=epoch / 1000)
        found[epoch] = list(lines.due(now=3.0 * epoch))
    assert [epoch for epoch, due in found.items() if due] == list(range(20, 200, 20))  # the end has the run's own line
    assert found[40] == ["digits student fraction=1 seed=0: main 40/200, 4.00%, about 8 min left"]


def test_a_run_of_less_than_half_a_minute_has_no_line_and_one_of_a_minute_has_one(student):
    for seconds, count in ((29.0, 0), (59.0, 1)):
        sweep = Looked()
        lines = Lines(sweep, 0.0)
        found = []
        for epoch in range(31):
            sweep.now = at(student, epoch, epochs=30)
            found += lines.due(now=seconds * epoch / 30)
        assert len(found) == count


def test_a_run_that_resumes_does_not_report_what_was_done_before(student):
    sweep = Looked(now=at(student, 150))
    lines = Lines(sweep, 0.0)
    assert list(lines.due(now=100.0)) == []
    sweep.now = at(student, 159)
    assert list(lines.due(now=200.0)) == []


def test_the_end_of_a_run_says_how_far_the_sweep_is_at_most_every_half_minute():
    sweep = Looked(seconds_left=2400.0)
    lines = Lines(sweep, 0.0)
    sweep.over = 1
    assert list(lines.due(now=10.0)) == []
    sweep.over, sweep.failed = 12, ", 1 failed"
    assert list(lines.due(now=31.0)) == ["run 12 of 63, 1 failed, about 40 min left"]
    assert list(lines.due(now=70.0)) == []  # nothing has changed
    sweep.over = 63
    assert list(lines.due(now=110.0)) == []  # the command ends now
