"""What every loss does to its inputs first."""

import tensorflow as tf


def in_float32(tensor: tf.Tensor) -> tf.Tensor:
    """Returns the tensor in float32, also from networks of lower precision; float64 stays float64."""
    tensor = tf.convert_to_tensor(tensor)
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def constant(tensor: tf.Tensor) -> tf.Tensor:
    """Returns a teacher's tensor as `in_float32` does; it gets no gradient."""
    return tf.stop_gradient(in_float32(tensor))


def require_same_shape(name: str, student: tf.Tensor, teacher: tf.Tensor) -> None:
    """Raises an error instead of letting two different shapes broadcast.

    Raises:
        ValueError: the shapes differ, or the batch is empty.
    """
    if not student.shape.is_compatible_with(teacher.shape):
        raise ValueError(f"{name}: the student's shape {student.shape} differs from the teacher's {teacher.shape}.")
    if student.shape.rank and student.shape[0] == 0:
        raise ValueError(f"{name}: the batch is empty.")


def squared_error(name: str, student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns the mean squared difference over all entries.

    Args:
        name: the loss's, for messages.
        student: of any shape.
        teacher: of the same shape; gets no gradient.

    Raises:
        ValueError: the shapes differ, or the batch is empty.
    """
    student, teacher = in_float32(student), constant(teacher)
    require_same_shape(name, student, teacher)
    return tf.reduce_mean(tf.math.squared_difference(student, teacher))
