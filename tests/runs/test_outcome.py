"""What a record says of the stages, from the lines of the metrics."""

from kd_bench.runs.outcome import stage_costs


def line(stage, epoch, seconds=1.0, multiply_adds=5):
    return {"stage": stage, "epoch": epoch, "epochs": 2, "seconds": seconds, "multiply_adds": multiply_adds}


def test_each_stage_has_its_seconds_and_the_multiply_adds_of_all_its_steps():
    metrics = [line("hint", 1, 0.5, 7), line("main", 1, 1.25), line("main", 2, 1.0)]
    assert stage_costs(metrics, {"hint": 10, "main": 20}) == {
        "stage_seconds": {"hint": 0.5, "main": 2.25},
        "stage_multiply_adds": {"hint": 70, "main": 100},
    }


def test_what_cannot_be_counted_is_unknown_in_its_stage_alone():
    metrics = [line("hint", 1, multiply_adds=None), line("main", 1)]
    assert stage_costs(metrics, {"hint": 10, "main": 20})["stage_multiply_adds"] == {"hint": None, "main": 100}


def test_a_teacher_that_is_only_evaluated_has_no_stages():
    assert stage_costs([{"stage": "main", "epoch": 0, "epochs": 0, "test_accuracy": 0.9}], {"main": 0}) == {}
