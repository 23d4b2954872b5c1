"""What holds for every loss: its value, its gradient, its degenerate inputs, in every way TensorFlow runs it."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

Loss = Callable[..., tf.Tensor]


def value_and_gradients(loss: Loss, inputs: Sequence, constants: Sequence) -> tuple[float, list[np.ndarray]]:
    """Returns the loss and its gradients for the arrays, or lists of arrays, in `inputs`."""
    return _evaluated(_differentiated(loss), inputs, constants)


def _differentiated(loss: Loss) -> Callable:
    """Returns the loss with its gradients in one function: compiled, it is one program, as a training step is."""

    def differentiated(inputs: Sequence, constants: Sequence) -> tuple[tf.Tensor, Sequence]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = loss(*inputs, *constants)
        return value, tape.gradient(value, inputs)

    return differentiated


def _in_every_way(loss: Loss) -> tuple[Callable, ...]:
    """Returns the differentiated loss as Python runs it, as a graph, and compiled by XLA."""
    differentiated = _differentiated(loss)
    graph = partial(tf.function, differentiated, autograph=False)  # as Keras trains
    return differentiated, graph(), graph(jit_compile=True)


def _evaluated(differentiated: Callable, inputs: Sequence, constants: Sequence) -> tuple[float, list[np.ndarray]]:
    inputs = tf.nest.map_structure(tf.convert_to_tensor, list(inputs))
    value, gradients = differentiated(inputs, list(constants))
    return float(value), [np.asarray(gradient) for gradient in tf.nest.flatten(gradients)]


def assert_agrees(
    loss: Loss, reference: Callable[..., float], inputs: Sequence, constants: Sequence = (), *, xla: bool = True
) -> None:
    """Compares value and gradient with the reference: eagerly in float64, and in every way in float32, as a run does.

    `xla=False` leaves XLA out.
    """
    expected = reference(*inputs, *constants)
    numeric = central_differences(lambda *changed: reference(*changed, *constants), inputs)
    eager, graph, compiled = _in_every_way(loss)
    ways = {np.float64: [eager], np.float32: [eager, graph, *([compiled] if xla else [])]}
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 2e-4)):
        cast = tf.nest.map_structure(lambda array, dtype=dtype: np.asarray(array, dtype), list(inputs))
        others = tf.nest.map_structure(lambda array, dtype=dtype: _cast(array, dtype), list(constants))
        for way in ways[dtype]:
            _assert_close(_evaluated(way, cast, others), expected, numeric, tolerance)


def _assert_close(found: tuple[float, list], expected: float, numeric: Sequence[np.ndarray], tolerance: float) -> None:
    value, gradients = found
    np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)
    for gradient, difference in zip(gradients, numeric, strict=True):
        scale = max(np.abs(difference).max(), 1e-3)
        bound = max(tolerance, 2e-6)  # central differences themselves are no better
        np.testing.assert_allclose(gradient / scale, difference / scale, atol=bound)


def central_differences(function: Callable[..., float], inputs: Sequence, step: float = 1e-5) -> list[np.ndarray]:
    """Returns the gradient of a float64 NumPy function, entry by entry."""
    inputs = tf.nest.map_structure(lambda array: np.array(array, np.float64), list(inputs))
    gradients = []
    for array in tf.nest.flatten(inputs):
        gradient = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            middle = array[place]
            array[place] = middle + step
            above = function(*inputs)
            array[place] = middle - step
            gradient[place] = (above - function(*inputs)) / (2 * step)
            array[place] = middle
        gradients.append(gradient)
    return gradients


def assert_finite(loss: Loss, *cases: tuple[Sequence, Sequence]) -> None:
    """Asserts finite value and gradients eagerly, in a graph and by XLA.

    Args:
        loss: to be tried.
        *cases: inputs and constants of each; those of one shape share a compilation.
    """
    for way in _in_every_way(loss):
        for inputs, constants in cases:
            value, gradients = _evaluated(way, inputs, constants)
            assert np.isfinite(value)
            assert all(np.isfinite(gradient).all() for gradient in gradients)


def assert_teacher_is_constant(loss: Loss, student: object, teacher: object, *rest: object) -> None:
    """Asserts that no gradient reaches the teacher's argument."""
    teacher = tf.nest.map_structure(tf.convert_to_tensor, teacher)
    with tf.GradientTape() as tape:
        tape.watch(teacher)
        value = loss(student, teacher, *rest)
    assert all(gradient is None for gradient in tf.nest.flatten(tape.gradient(value, teacher)))


def _cast(value: object, dtype: type) -> object:
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
