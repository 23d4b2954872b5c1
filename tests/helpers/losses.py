"""What holds for every loss: its value, its gradient, its degenerate inputs, in every way TensorFlow runs it."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

Loss = Callable[..., tf.Tensor]


def value_and_gradients(loss: Loss, inputs: Sequence, constants: Sequence) -> tuple[float, list[np.ndarray]]:
    """Returns the loss and its gradients for the arrays, or lists of arrays, in `inputs`."""
    inputs = tf.nest.map_structure(tf.convert_to_tensor, list(inputs))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = loss(*inputs, *constants)
    gradients = tape.gradient(value, inputs)
    return float(value), [np.asarray(gradient) for gradient in tf.nest.flatten(gradients)]


def assert_agrees(
    loss: Loss, reference: Callable[..., float], inputs: Sequence, constants: Sequence = (), xla: float = 1e-9
) -> None:
    """Compares value and gradient with the reference, in float64 and in float32, eagerly and compiled.

    `xla` is the tolerance in float64 by XLA, whose decompositions stop at 1e-6.
    """
    expected = reference(*inputs, *constants)
    numeric = central_differences(lambda *changed: reference(*changed, *constants), inputs)
    for dtype, tolerances in ((np.float64, (1e-9, 1e-9, xla)), (np.float32, 3 * (2e-4,))):
        cast = tf.nest.map_structure(lambda array, dtype=dtype: np.asarray(array, dtype), list(inputs))
        others = tf.nest.map_structure(lambda array, dtype=dtype: _cast(array, dtype), list(constants))
        ways = (loss, tf.function(loss), tf.function(loss, jit_compile=True))
        for compiled, tolerance in zip(ways, tolerances, strict=True):
            value, gradients = value_and_gradients(compiled, cast, others)
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


def assert_finite(loss: Loss, inputs: Sequence, constants: Sequence = ()) -> None:
    """Asserts finite value and gradients eagerly, in a graph and compiled by XLA."""
    for compiled in (loss, tf.function(loss), tf.function(loss, jit_compile=True)):
        value, gradients = value_and_gradients(compiled, inputs, constants)
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
