import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.methods import build, small_batch

from kd_bench.distillers.base import Batch
from kd_bench.distillers.ctkd import difficulty, reversed_gradient
from kd_bench.distillers.soft_logits import soft_logits_loss


def batch_of(distiller, progress=0.5):
    return Batch(distiller, *small_batch(), tf.constant(0.0), tf.constant(progress))


def test_the_factor_is_that_of_the_authors_in_each_of_240_epochs():
    for epoch in range(1, 241):
        authors = (math.cos(min(epoch, 10) * math.pi / 10) + 1) * 0.5 * (0 - -1) + -1  # negative: reverses
        found = float(difficulty(tf.constant((epoch - 0.5) / 240), 10 / 240))
        assert found == pytest.approx(-authors, abs=1e-6), epoch


def test_without_a_curriculum_the_factor_is_one():
    assert float(difficulty(tf.constant(0.0), 0.0)) == 1


@pytest.mark.parametrize("graph", [False, True])
def test_the_gradient_is_reversed_and_the_value_is_not(graph):
    def both(value):
        with tf.GradientTape() as tape:
            tape.watch(value)
            result = reversed_gradient(value, tf.constant(0.25)) ** 2
        return result, tape.gradient(result, value)

    result, gradient = (tf.function(both) if graph else both)(tf.constant(3.0))
    assert (float(result), float(gradient)) == (9.0, -1.5)


def test_the_term_is_soft_logits_at_the_temperature_of_the_variable():
    distiller = build("ctkd")
    batch = batch_of(distiller)
    temperature = 1 + 20 / (1 + math.exp(-1))
    expected = 0.9 * float(soft_logits_loss(batch.student["logits"], batch.teacher["logits"], temperature))
    assert float(distiller.distillation_loss(batch)) == pytest.approx(expected, rel=1e-5)
    assert float(distiller.own_metrics[0].result()) == pytest.approx(temperature, rel=1e-6)


def test_a_step_makes_the_loss_larger_by_the_temperature():
    """The student stands still: what the step does to the temperature alone must raise the divergence."""
    distiller = build("ctkd", ["method.curriculum_share=0"])
    (stage,) = distiller.stages()
    distiller.raw_temperature.assign(-3.0)
    distiller.begin(stage, keras.optimizers.SGD(0.1), 1, 1, run_eagerly=True)
    before, start = float(distiller.distillation_loss(batch_of(distiller))), float(distiller.raw_temperature.value)
    weights = [variable.numpy() for variable in distiller.student.variables]
    distiller.train_step(small_batch())
    for variable, weight in zip(distiller.student.variables, weights, strict=True):
        variable.assign(weight)
    assert float(distiller.raw_temperature.value) != start
    assert float(distiller.distillation_loss(batch_of(distiller))) > before


def test_the_temperature_stays_in_its_range():
    distiller = build("ctkd")
    for raw, expected in ((-1e4, 1.0), (1e4, 21.0)):
        distiller.raw_temperature.assign(raw)
        loss = float(distiller.distillation_loss(batch_of(distiller)))
        assert np.isfinite(loss)
        batch = batch_of(distiller)
        wanted = soft_logits_loss(batch.student["logits"], batch.teacher["logits"], expected)
        assert loss == pytest.approx(0.9 * float(wanted), rel=1e-4)
