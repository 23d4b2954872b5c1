import math

import pytest

from kd_bench.training.schedules import learning_rate_schedule, stepped


def rates(schedule, steps=100, warmup=0.0, decay_at=(0.3, 0.6, 0.8)):
    made = learning_rate_schedule(0.1, steps, schedule, warmup, decay_at, 0.2)
    return [float(made(step)) for step in range(steps)]


def test_the_learning_rate_steps_at_shares_of_the_steps():
    schedule = stepped(0.1, 100, [0.3, 0.6, 0.8], 0.2)
    rates = [float(schedule(step)) for step in range(100)]
    expected = [0.1] * 30 + [0.02] * 30 + [0.004] * 20 + [0.0008] * 20
    assert rates == pytest.approx(expected)


def test_without_a_decay_the_learning_rate_is_constant():
    assert stepped(0.1, 100, [], 0.2) == 0.1


def test_the_cosine_falls_to_zero():
    expected = [0.05 * (1 + math.cos(math.pi * step / 100)) for step in range(100)]
    assert rates("cosine") == pytest.approx(expected, rel=1e-4)


def test_a_cosine_with_warm_up_rises_in_a_line_and_then_falls():
    rising = [0.1 * step / 20 for step in range(20)]
    falling = [0.05 * (1 + math.cos(math.pi * step / 80)) for step in range(80)]
    assert rates("cosine", warmup=0.2) == pytest.approx(rising + falling, rel=1e-4)


@pytest.mark.parametrize("decay_at", [(), (0.3, 0.6, 0.8)])
def test_a_warm_up_changes_the_first_steps_only(decay_at):
    whole = rates("stepped", decay_at=decay_at) if decay_at else [0.1] * 100
    assert rates("stepped", warmup=0.2, decay_at=decay_at) == pytest.approx(
        [rate * min(1, step / 20) for step, rate in enumerate(whole)]
    )


@pytest.mark.parametrize("schedule", ["stepped", "cosine"])
def test_a_stage_with_a_constant_rate_has_no_warm_up(schedule):
    assert learning_rate_schedule(0.1, None, schedule, 0.5, [0.3], 0.2) == 0.1


@pytest.mark.parametrize("schedule", ["stepped", "cosine"])
def test_a_warm_up_leaves_a_step_at_the_full_rate(schedule):
    assert rates(schedule, steps=2, warmup=0.99, decay_at=()) == pytest.approx([0, 0.1])
