"""The lines that a file gets while runs are done."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from kd_bench.config.compose import jobs
from kd_bench.launch.lines import Lines
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.progress import Progress


@dataclass
class Updated:
    """A sweep as the last update found it."""

    finished: int = 0
    requested: int = 63
    failed: str = ""
    seconds_left: float | None = None
    running: list = field(default_factory=list)


@pytest.fixture(scope="module")
def student():
    return jobs(["method=student"])[0]


def at(run, epoch, accuracy=None, epochs=200):
    progress = Progress("main", epoch, epochs, epoch, epochs - epoch, 3.0, accuracy)
    folder = RunFolder(run.directory)
    return [SimpleNamespace(folder=folder, title=run.title, kept_progress=progress, share=progress.share)]


def test_a_run_has_a_line_at_each_tenth_of_its_epochs(student):
    sweep = Updated()
    lines = Lines(sweep, 0.0)
    found = {}
    for epoch in range(201):
        sweep.running = at(student, epoch, accuracy=epoch / 1000)
        found[epoch] = list(lines.due(now=3.0 * epoch))
    assert [epoch for epoch, due in found.items() if due] == list(range(20, 200, 20))  # the end has the run's own line
    assert found[40] == ["digits student fraction=1 seed=0: main 40/200, 4.00%, about 8 min left"]


def test_a_run_of_less_than_half_a_minute_has_no_line_and_one_of_a_minute_has_one(student):
    for seconds, count in ((29.0, 0), (59.0, 1)):
        sweep = Updated()
        lines = Lines(sweep, 0.0)
        found = []
        for epoch in range(31):
            sweep.running = at(student, epoch, epochs=30)
            found += lines.due(now=seconds * epoch / 30)
        assert len(found) == count


def test_a_run_that_resumes_does_not_report_what_was_done_before(student):
    sweep = Updated(running=at(student, 150))
    lines = Lines(sweep, 0.0)
    assert list(lines.due(now=100.0)) == []
    sweep.running = at(student, 159)
    assert list(lines.due(now=200.0)) == []


def test_the_end_of_a_run_says_how_far_the_sweep_is_at_most_every_half_minute():
    sweep = Updated(seconds_left=2400.0)
    lines = Lines(sweep, 0.0)
    sweep.finished = 1
    assert list(lines.due(now=10.0)) == []
    sweep.finished, sweep.failed = 12, ", 1 failed"
    assert list(lines.due(now=31.0)) == ["run 12 of 63, 1 failed, about 40 min left"]
    assert list(lines.due(now=70.0)) == []  # nothing has changed
    sweep.finished = 63
    assert list(lines.due(now=110.0)) == []  # the command ends now
