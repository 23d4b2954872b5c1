import keras
import numpy as np
import pytest

from kd_bench.training.optimizers import sgd

PLAIN = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "decay_at": [], "decay_factor": 1.0}


def moved(gradients, **options):
    """Returns by how much one step with the learning rate 1 moves variables that begin at 0."""
    variables = [keras.Variable(np.zeros_like(one)) for one in gradients]
    sgd(None, learning_rate=1.0, **PLAIN | options).apply(gradients, variables)
    return [-variable.numpy() for variable in variables]


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_all_gradients_together_have_at_most_the_norm(largest, generator):
    gradients = [generator.normal(size=shape).astype(np.float32) for shape in [(3, 4), (5,)]]
    norm = np.sqrt(sum((one**2).sum() for one in gradients))
    expected = [one * min(1, largest / norm) for one in gradients]
    for own, wanted in zip(moved(gradients, global_clipnorm=largest), expected, strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-5)


def test_weight_decay_is_not_clipped():
    variable = keras.Variable([2.0])
    options = PLAIN | {"weight_decay": 0.5, "global_clipnorm": 0.1}
    sgd(None, learning_rate=1.0, **options).apply([np.float32([4])], [variable])
    assert variable.numpy() == pytest.approx([2 - (0.1 + 0.5 * 2)])
