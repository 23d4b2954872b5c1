"""What losses do to their inputs: precision, shapes, unit lengths, and the samples of all replicas.

The step takes the mean of the losses of all replicas. That is right for a loss that is a mean over samples. A loss that
compares samples with each other needs the global batch, and a sum over samples must be scaled: then a step on several
replicas equals the step on one.
"""

import tensorflow as tf

_SMALLEST_SQUARED_LENGTH = 1e-8
"""Bounds the gradient where nearly all values are equal."""


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


def centred(values: tf.Tensor, axis: int) -> tf.Tensor:
    """Returns values with mean 0 and length 1 along an axis; zeros, with a bounded gradient, where all are equal."""
    differences = values - tf.reduce_mean(values, axis, keepdims=True)
    return tf.math.l2_normalize(differences, axis, _SMALLEST_SQUARED_LENGTH)


def global_batch(tensor: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas, `[B,...]`, from the share of each replica; the gradient flows back to each."""
    context = tf.distribute.get_replica_context()
    return tensor if context.num_replicas_in_sync == 1 else context.all_gather(tensor, axis=0)


def summed_over_batch(loss: tf.Tensor) -> tf.Tensor:
    """Scales a sum over a replica's samples, so that the mean over replicas is the sum over the global batch."""
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    return loss * tf.cast(replicas, loss.dtype)
