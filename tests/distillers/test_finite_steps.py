"""The first step at which a loss is no number, found among steps that Python does not see."""

import numpy as np
import pytest
import tensorflow as tf

from kd_bench.distillers.finite_steps import FiniteSteps

NAN, INF = float("nan"), float("inf")


def after(steps):
    metric = FiniteSteps(["task", "distill"])
    update = tf.function(metric.update_state)
    for values in steps:
        update(tf.constant(values, tf.float32))
    return metric


def test_numbers_are_fine():
    assert after([[1, 2], [0, -3]]).first_non_finite(replicas=1) is None


@pytest.mark.parametrize("broken", [NAN, INF, -INF])
def test_the_first_step_and_its_terms(broken):
    metric = after([[1, 2], [1, 2], [1, broken], [broken, broken]])
    assert metric.first_non_finite(replicas=1) == (2, ["distill"])


def test_both_at_once():
    assert after([[NAN, INF]]).first_non_finite(replicas=1) == (0, ["task", "distill"])


def test_a_loss_that_recovers_is_not_forgotten():
    assert after([[1, 2], [NAN, 2], [1, 2], [1, 2]]).first_non_finite(replicas=1) == (1, ["task"])


def test_an_epoch_begins_anew():
    metric = after([[NAN, 2]])
    metric.reset_state()
    assert metric.first_non_finite(replicas=1) is None
    np.testing.assert_array_equal(metric.result(), [0, 0])
