"""A program: one step of every stage of some methods on as many CPU replicas as its first argument says, as JSON."""

import json
import sys

import numpy as np
import tensorflow as tf

from helpers.methods import build, small_batch
from kd_bench.training import hardware
from kd_bench.training.optimizers import sgd


def changes(method, number, strategy):
    """Returns the logs and the values of the student after one step."""
    with strategy.scope():
        distiller = build(method)
        optimizer = sgd(
            None, learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, decay_at=[], decay_factor=1.0
        )
        distiller.begin(distiller.stages()[number], optimizer, 1, 1, jit_compile=False)
    batches = tf.data.Dataset.from_tensor_slices(small_batch(16)).batch(16)
    history = distiller.fit(batches, epochs=1, shuffle=False, verbose=0).history
    variables = [np.asarray(v.numpy(), float).ravel() for v in distiller.student.variables]
    return {
        "logs": {name: values[0] for name, values in history.items()},
        "student": np.concatenate(variables).tolist(),
    }


def main(replicas, methods):
    strategy = hardware.strategy(device="cpu", replicas=replicas, threads=None)
    assert strategy.num_replicas_in_sync == replicas
    found = {}
    for method in methods:
        with strategy.scope():
            count = len(build(method).stages())
        for number in range(count):
            found[f"{method} {number}"] = changes(method, number, strategy)
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
