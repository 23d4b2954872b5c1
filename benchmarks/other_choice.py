"""Compares the step with `keras.distillation.Distiller` on the same networks and data.

python -m benchmarks.other_choice pair

Keras's distiller uses Keras's own batch norm, as a user's networks do, with or without XLA, whichever is faster here.
There are two comparisons: both in float32, and Keras's default float32 with this project's default precision.
"""

import argparse
from collections.abc import Sequence

import keras
import tensorflow as tf

from benchmarks.measure import Action, alternate, show, verdict
from benchmarks.pairs import PAIRS, Pair
from benchmarks.training import batches, prepare, step_action
from kd_bench.training.hardware import resolve_precision

BOUND_AT_EQUAL_PRECISION, BOUND_BY_DEFAULT = 1.1, 1.3


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the given pair, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=list(PAIRS))
    pair = PAIRS[parser.parse_args(arguments).pair]
    headers = ["Knowledge", "Precision, ours to Keras", "Ours, ms", "Keras, ms", "Throughput", "At least", ""]
    show(f"Throughput over keras.distillation's: {pair.name}", headers, _rows(pair))


def _rows(pair: Pair) -> list[list[str | float]]:
    """Compares logits with logits and, if maps have equal channels, features (AT) with features (mean squares)."""
    kinds = ["logits", "features"] if _same_channels(pair) else ["logits"]
    return [row for kind in kinds for row in _compare(pair, kind)]


def _compare(pair: Pair, kind: str) -> list[list[str | float]]:
    method = {"logits": "soft_logits", "features": "at"}[kind]
    default = resolve_precision(pair.config().precision)
    actions = {}
    prepare(pair, "float32")
    actions["Keras"] = _keras_action(pair, kind, jit_compile=False)
    if not pair.is_big:  # a big pair takes minutes to compile
        actions["Keras, XLA"] = _keras_action(pair, kind, jit_compile=True)
    for precision in dict.fromkeys(["float32", default]):
        keras.config.set_dtype_policy(precision)
        actions[precision] = step_action(pair, method)
    timings = alternate(actions, pair.rounds)
    rival = min((name for name in actions if name.startswith("Keras")), key=timings.median)
    rows: list[list[str | float]] = []
    bounds = {default: BOUND_BY_DEFAULT} | {"float32": BOUND_AT_EQUAL_PRECISION}
    for precision, bound in bounds.items():
        gain = 1 / timings.ratio(precision, rival)
        ours, theirs = (1e3 * timings.median(name) / pair.steps for name in (precision, rival))
        precisions = f"{precision} to float32"
        rows.append([kind, precisions, ours, theirs, gain, bound, verdict(gain, bound, at_most=False)])
    return rows


def _keras_action(pair: Pair, kind: str, jit_compile: bool) -> Action:
    """Returns an action of `pair.steps` steps of Keras's distiller, with every option of its `compile` for speed."""
    teacher, student = (_as_users_have_it(network) for network in (pair.teacher(), pair.student()))
    distiller = keras.distillation.Distiller(teacher, student, _knowledge(kind, teacher, student))
    distiller.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=pair.steps,
        jit_compile=jit_compile,
    )
    distiller.make_train_function()
    # Keras would take the third part of a batch for the weights of its samples.
    images = iter(batches(pair).map(lambda images, labels, _: (images, labels)))
    return lambda: tf.nest.map_structure(float, distiller.train_function(images))


def _as_users_have_it(network: keras.Model) -> keras.Model:
    """Returns the network with only its logits as output, and with Keras's own batch norm."""

    def own(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = keras.layers.BatchNormalization if isinstance(layer, keras.layers.BatchNormalization) else type(layer)
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(keras.Model(network.inputs, network.output["logits"]), clone_function=own)


def _knowledge(kind: str, teacher: keras.Model, student: keras.Model) -> list[keras.distillation.DistillationLoss]:
    if kind == "logits":
        return [keras.distillation.LogitsDistillation(temperature=4.0)]
    pairs = zip(_group_ends(teacher), _group_ends(student), strict=True)
    return [keras.distillation.FeatureDistillation("mse", *names) for names in pairs]


def _group_ends(network: keras.Model) -> list[str]:
    """Returns the name of the layer with the last residual sum of each map size."""
    sums = [layer for layer in network.layers if isinstance(layer, keras.layers.Add)]
    return list({layer.output.shape[1:]: layer.name for layer in sums}.values())


def _same_channels(pair: Pair) -> bool:
    teacher, student = pair.teacher(), pair.student()
    return all(a.shape == b.shape for a, b in zip(teacher.output["post"], student.output["post"], strict=True))


if __name__ == "__main__":
    main()
