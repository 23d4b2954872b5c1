import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.methods import build, small_batch

from kd_bench.training.averaging import averaged, keep_averages
from kd_bench.training.loop import Plan, train
from kd_bench.training.optimizers import adam, sgd

STEPS, MOMENTUM = 5, 0.9
OPTIONS = {"learning_rate": 0.1, "weight_decay": 0.0, "decay_at": [], "decay_factor": 1.0, "ema_momentum": MOMENTUM}


def make_sgd():
    return sgd(None, momentum=0.9, nesterov=True, **OPTIONS)


def begun(method="student"):
    distiller = build(method)
    distiller.begin(distiller.stages()[-1], make_sgd(), 1, STEPS, jit_compile=False)
    return distiller


def values(variables):
    return [variable.numpy().copy() for variable in variables]


@pytest.mark.parametrize("make", [make_sgd, lambda: adam(None, beta_1=0.9, beta_2=0.999, **OPTIONS)])
def test_the_averages_are_kerass_and_the_recursion(make, generator):
    own, kerass = make(), keras.optimizers.SGD(0.1, 0.9, nesterov=True, use_ema=True, ema_momentum=MOMENTUM)
    variable, other = keras.Variable([1.0, -2.0]), keras.Variable([1.0, -2.0])
    expected = None
    for gradient in generator.normal(size=(STEPS, 2)).astype(np.float32):
        own.apply([gradient], [variable])
        kerass.apply([gradient], [other])
        now = variable.numpy().astype(float)
        expected = now if expected is None else MOMENTUM * expected + (1 - MOMENTUM) * now
    np.testing.assert_allclose(own.averages[0].numpy(), expected, rtol=1e-6)
    if make is make_sgd:
        kerass.finalize_variable_values([other])
        np.testing.assert_allclose(own.averages[0].numpy(), other.numpy(), rtol=1e-6)


@pytest.mark.parametrize("overrides", [(), ["method.sequential=true"]], ids=["at once", "sequential"])
def test_a_step_averages_every_variable_once(overrides):
    distiller = build("dml", overrides)
    distiller.begin(distiller.stages()[-1], make_sgd(), 1, STEPS, jit_compile=False)
    past = []
    for _ in range(2):
        distiller.train_step(small_batch())
        past.append(values(distiller.stage.variables))
    for average, first, second in zip(distiller.optimizer.averages, *past, strict=True):
        np.testing.assert_allclose(average.numpy(), MOMENTUM * first + (1 - MOMENTUM) * second, rtol=1e-5, atol=1e-7)


def test_an_evaluation_sees_the_averages_and_leaves_every_bit():
    distiller = begun()
    for _ in range(2):
        distiller.train_step(small_batch())
    state, averages = values(distiller.state), values(distiller.optimizer.averages)
    with averaged(distiller):
        inside = values(distiller.stage.variables)
    assert all(map(np.array_equal, inside, averages))
    assert all(map(np.array_equal, values(distiller.state), state))
    keep_averages(distiller)
    assert all(map(np.array_equal, values(distiller.student.trainable_variables), averages))
    assert not all(map(np.array_equal, values(distiller.state), state))


def test_only_the_main_stage_is_averaged_and_ends_with_the_averages():
    distiller, optimizers = build("fitnet"), []

    def make_optimizer(steps, scale):
        optimizers.append(make_sgd())
        return optimizers[-1]

    def batches(stage, begin, end):
        return tf.data.Dataset.from_tensor_slices(small_batch(16)).batch(8)

    train(distiller, Plan(1, 2, 1, jit_compile=False), make_optimizer, batches, lambda stage: [])
    hint, main = optimizers
    assert not hint.averages
    assert all(map(np.array_equal, values(distiller.stage.variables), values(main.averages)))
