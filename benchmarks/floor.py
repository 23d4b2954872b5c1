"""The floor: the least work that a distillation step can do, written without a framework.

It has the same two networks in the same precision, called as functions: teacher forward, student forward and backward,
cross-entropy plus KL, and Nesterov momentum with coupled weight decay by TensorFlow's fused kernel. The batch is in
memory already. There is no pipeline, no metric, no schedule and no `fit`.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

_RATE, _MOMENTUM, _DECAY = 0.1, 0.9, 5e-4
_TEMPERATURE = 4.0

Step = Callable[[], tf.Tensor]


def student_floor(student: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> Step:
    """Returns the compiled step of a student without a teacher; the step returns its loss."""
    return _step([student], lambda: _cross_entropy(labels, _logits(student, images)))


def distillation_floor(student: keras.Model, teacher: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> Step:
    """Returns the compiled step of a student that learns from a frozen teacher's logits."""

    def loss() -> tf.Tensor:
        targets = tf.cast(teacher(images, training=False)["logits"], tf.float32)
        logits = _logits(student, images)
        return _cross_entropy(labels, logits) + _divergence(targets, logits)

    return _step([student], loss)


def mutual_floor(student: keras.Model, peer: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> Step:
    """Returns the compiled step of two networks that learn from each other: the least work of DML."""

    def loss() -> tf.Tensor:
        own, theirs = _logits(student, images), _logits(peer, images)
        divergences = _divergence(tf.stop_gradient(own), theirs) + _divergence(tf.stop_gradient(theirs), own)
        return _cross_entropy(labels, own) + _cross_entropy(labels, theirs) + divergences

    return _step([student, peer], loss)


def _step(trained: Sequence[keras.Model], loss_function: Callable[[], tf.Tensor]) -> Step:
    variables = [variable.value for network in trained for variable in network.trainable_variables]
    velocities = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = loss_function()
        for variable, velocity, gradient in zip(variables, velocities, tape.gradient(loss, variables), strict=True):
            _update(variable, velocity, gradient)
        return loss

    return step


def _logits(network: keras.Model, images: tf.Tensor) -> tf.Tensor:
    return tf.cast(network(images, training=True)["logits"], tf.float32)


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _divergence(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    target, own = tf.nn.log_softmax(targets / _TEMPERATURE), tf.nn.log_softmax(logits / _TEMPERATURE)
    return _TEMPERATURE**2 * tf.reduce_mean(tf.reduce_sum(tf.exp(target) * (target - own), axis=-1))


def _update(variable: tf.Variable, velocity: tf.Variable, gradient: tf.Tensor) -> None:
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=velocity.handle,
        lr=_RATE,
        grad=gradient + _DECAY * variable,
        momentum=_MOMENTUM,
        use_nesterov=True,
    )
