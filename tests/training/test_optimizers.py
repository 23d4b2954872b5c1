import keras
import numpy as np
import pytest

from kd_bench.training.optimizers import FusedSGD, sgd

SETTINGS = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}


def nesterov_with_coupled_decay(value, gradients, learning_rate, momentum, weight_decay):
    """Nesterov momentum as Keras has it (v = m*v - lr*g; w += m*v - lr*g), the decay inside g."""
    velocity = np.zeros_like(value)
    for gradient in gradients:
        decayed = gradient + weight_decay * value
        velocity = momentum * velocity - learning_rate * decayed
        value = value + momentum * velocity - learning_rate * decayed
    return value


def test_weight_decay_is_coupled(generator):
    start, gradients = generator.normal(size=3), generator.normal(size=(5, 3))
    variable = keras.Variable(start, dtype="float64")
    optimizer = sgd(None, **SETTINGS, decay_at=[], decay_factor=1.0)
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
    expected = nesterov_with_coupled_decay(start, gradients, 0.1, 0.9, 0.01)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
def test_fused_sgd_is_kerass(momentum, nesterov, generator):
    start, gradients = generator.normal(size=(2, 3)), generator.normal(size=(5, 2, 3))
    ends = []
    for kind in (FusedSGD, keras.optimizers.SGD):
        optimizer, variable = kind(0.1, momentum, nesterov), keras.Variable(start, dtype="float64")
        for gradient in gradients:
            optimizer.apply([gradient], [variable])
        ends.append([value.numpy() for value in (variable, *optimizer.variables)])
    for own, expected in zip(*ends, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-6)


def test_without_steps_the_rate_is_constant():
    assert float(sgd(None, **SETTINGS, decay_at=[0.1], decay_factor=0.1).learning_rate) == pytest.approx(0.1)
