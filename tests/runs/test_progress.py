"""How far a run is, by its metrics."""

import pytest

from kd_bench.runs.progress import Progress, progress


def lines(stage, elapsed, epochs, seconds=9.0):
    return [
        {"stage": stage, "epoch": epoch, "epochs": epochs, "seconds": seconds, "elapsed_seconds": at}
        for epoch, at in enumerate(elapsed, start=1)
    ]


def test_in_an_earlier_stage_the_main_one_is_still_to_come():
    found = progress(lines("hint", [5.0, 6.0, 7.0], epochs=4), epochs=40, evaluate_every=1)
    assert found == Progress("hint", 3, 4, finished=3, left=41, seconds=1.0)
    assert found.share == pytest.approx(3 / 44)
    assert found.seconds_left == pytest.approx(41.0)


def test_the_pace_is_that_of_the_current_stage_with_evaluations_but_without_the_first_epoch():
    metrics = [*lines("hint", [1.0, 2.0], epochs=2), *lines("main", [20.0, 23.0, 26.0], epochs=10)]
    found = progress(metrics, epochs=10, evaluate_every=1)
    assert found == Progress("main", 3, 10, finished=5, left=7, seconds=3.0)


def test_the_pace_follows_the_last_epochs_and_reaches_from_one_evaluation_to_the_next():
    slow = [10.0 * epoch for epoch in range(1, 21)]
    fast = [200.0 + epoch for epoch in range(1, 21)]
    assert progress(lines("main", slow + fast, epochs=50), epochs=50, evaluate_every=1).seconds == 1.0
    assert progress(lines("main", slow + fast, epochs=50), epochs=50, evaluate_every=39).seconds == pytest.approx(
        (220 - 10) / 39
    )


def test_after_one_epoch_of_a_stage_its_own_seconds_are_all_there_is():
    metrics = [*lines("hint", [1.0, 2.0], epochs=2), *lines("main", [20.0], epochs=3, seconds=4.0)]
    assert progress(metrics, epochs=3, evaluate_every=1).seconds == 4.0


@pytest.mark.parametrize(
    "metrics", [[], [{"stage": "main", "epoch": 3, "seconds": 1.0}], lines("main", [2.0], epochs=0)]
)
def test_nothing_is_known_before_the_first_epoch_or_of_earlier_metrics_or_of_an_evaluation(metrics):
    assert progress(metrics, epochs=3, evaluate_every=1) is None
