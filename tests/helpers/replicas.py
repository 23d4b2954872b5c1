"""A program: one step of every stage of some methods on one CPU replica and on two, as JSON.

It also does two steps of a student with the training options that change a step: smoothed labels, mixed images, clipped
gradients and averaged weights.
"""

import json
import sys

import numpy as np
import tensorflow as tf

from helpers.methods import build, small_batch
from kd_bench.training import hardware
from kd_bench.training.averaging import keep_averages
from kd_bench.training.optimizers import sgd

OPTIONS = "options"


def changes(method, strategy):
    """Yields the logs and the values of the student after one step of each stage, each time of a new student."""
    with strategy.scope():
        distiller = build(method)
    yield after_a_step(distiller, 0, strategy)
    for number in range(1, len(distiller.stages())):
        with strategy.scope():
            distiller = build(method)
        yield after_a_step(distiller, number, strategy)


def after_a_step(distiller, number, strategy):
    with strategy.scope():
        optimizer = sgd(
            None, learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, decay_at=[], decay_factor=1.0
        )
        distiller.begin(distiller.stages()[number], optimizer, 1, 1, jit_compile=False)
        distiller.run_eagerly = True  # tracing a graph costs more than the one step; `with_options` trains in a graph
    batches = tf.data.Dataset.from_tensor_slices(small_batch(16)).batch(16)
    history = distiller.fit(batches, epochs=1, shuffle=False, verbose=0).history
    variables = [np.asarray(v.numpy(), float).ravel() for v in distiller.student.variables]
    return {
        "logs": {name: values[0] for name, values in history.items()},
        "student": np.concatenate(variables).tolist(),
    }


def with_options(strategy):
    """As `changes`, with the averages as the student's values."""
    with strategy.scope():
        distiller = build("student")
        distiller.label_smoothing = 0.1
        optimizer = sgd(
            None,
            learning_rate=0.1,
            momentum=0.9,
            nesterov=True,
            weight_decay=5e-4,
            decay_at=[],
            decay_factor=1.0,
            global_clipnorm=0.1,
            ema_momentum=0.5,
        )
        distiller.begin(distiller.stages()[-1], optimizer, 1, 2, jit_compile=False)
    images, labels, indices = small_batch(32)
    mixed = 0.7 * tf.one_hot(labels, 10) + 0.3 * tf.one_hot(labels[::-1], 10)
    batches = tf.data.Dataset.from_tensor_slices((images, mixed, indices)).batch(16)
    history = distiller.fit(batches, epochs=1, shuffle=False, verbose=0).history
    keep_averages(distiller)
    variables = [np.asarray(v.numpy(), float).ravel() for v in distiller.student.trainable_variables]
    return {
        "logs": {name: values[0] for name, values in history.items()},
        "student": np.concatenate(variables).tolist(),
    }


def main(methods):
    two, one = (hardware.strategy(device="cpu", replicas=count, threads=None) for count in (2, 1))
    assert (one.num_replicas_in_sync, two.num_replicas_in_sync) == (1, 2)
    print(json.dumps([steps(methods, strategy) for strategy in (one, two)]))


def steps(methods, strategy):
    """Returns the changes by each stage of these methods."""
    found = {OPTIONS: with_options(strategy)} if OPTIONS in methods else {}
    methods = [method for method in methods if method != OPTIONS]
    for method in methods:
        found |= {f"{method} {number}": change for number, change in enumerate(changes(method, strategy))}
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
