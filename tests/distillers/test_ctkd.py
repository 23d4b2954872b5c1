import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.methods import batch_of, build, small_batch

from kd_bench.distillers.ctkd import difficulty, reversed_gradient
from kd_bench.distillers.soft_logits import soft_logits_loss, standardized


def test_the_factor_is_that_of_the_authors_in_every_step_of_240_epochs():
    epochs = np.repeat(np.arange(1, 241), 39)
    authors = (np.cos(np.minimum(epochs, 10) * math.pi / 10) + 1) * 0.5 * (0 - -1) + -1  # negative: reverses
    found = difficulty(SimpleNamespace(step=tf.range(len(epochs), dtype=tf.int64), steps=len(epochs)), "10/240")
    np.testing.assert_allclose(found, -authors, atol=1e-6)


def test_without_a_curriculum_the_factor_is_one():
    assert float(difficulty(batch_of(build("ctkd")), 0.0)) == 1


@pytest.mark.parametrize("graph", [False, True])
def test_the_gradient_is_reversed_and_the_value_is_not(graph):
    def both(value):
        with tf.GradientTape() as tape:
            tape.watch(value)
            result = reversed_gradient(value, tf.constant(0.25)) ** 2
        return result, tape.gradient(result, value)

    result, gradient = (tf.function(both, autograph=False) if graph else both)(tf.constant(3.0))
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


def test_standardized_logits_have_the_same_temperature():
    distiller = build("ctkd", ["method.standardize=true"])
    batch = batch_of(distiller)
    compared = standardized(batch.student["logits"]), standardized(batch.teacher["logits"])
    expected = 0.9 * float(soft_logits_loss(*compared, 1 + 20 / (1 + math.exp(-1))))
    assert float(distiller.distillation_loss(batch)) == pytest.approx(expected, rel=1e-5)


def test_the_temperature_stays_in_its_range():
    distiller = build("ctkd")
    for raw, expected in ((-1e4, 1.0), (1e4, 21.0)):
        distiller.raw_temperature.assign(raw)
        loss = float(distiller.distillation_loss(batch_of(distiller)))
        assert np.isfinite(loss)
        batch = batch_of(distiller)
        wanted = soft_logits_loss(batch.student["logits"], batch.teacher["logits"], expected)
        assert loss == pytest.approx(0.9 * float(wanted), rel=1e-4)
