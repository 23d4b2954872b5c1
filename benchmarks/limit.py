"""Compares multiply-adds per second of the step with the best rate of one large operation in the same process.

python -m benchmarks.limit pair [--precision float32]
"""

import argparse
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from benchmarks.measure import Action, alternate, show, verdict
from benchmarks.own_work import step_multiply_adds
from benchmarks.pairs import PAIRS, Pair
from benchmarks.training import prepare, step_action

BOUND_OF_BIG_PAIR = 0.7
_SIDE = 2048
_BATCH, _SIZE, _CHANNELS, _KERNEL = 64, 32, 128, 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the given pair, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pair", choices=list(PAIRS))
    parser.add_argument("--precision")
    options = parser.parse_args(arguments)
    headers = [
        "Pair",
        "Precision",
        "Step, G/s",
        "Product, G/s",
        "Convolution, G/s",
        "Share of the best",
        "At least",
        "",
    ]
    show("Multiply-adds per second of soft_logits' step", headers, [_row(PAIRS[options.pair], options.precision)])


def _row(pair: Pair, asked: str | None) -> list[str | float]:
    precision = prepare(pair, asked)
    work = {"step": pair.steps * step_multiply_adds(pair), **_WORK}
    actions = {"step": step_action(pair, "soft_logits"), "product": _product(), "convolution": _convolution()}
    timings = alternate(actions, pair.rounds)
    rates = {name: work[name] / timings.median(name) / 1e9 for name in actions}
    share = min(work["step"] / work[name] * timings.ratio(name, "step") for name in ("product", "convolution"))
    bound = BOUND_OF_BIG_PAIR if pair.is_big else None
    judged = verdict(share, bound, at_most=False) if bound else ""
    return [pair.name, precision, *rates.values(), share, bound or "", judged]


_WORK = {"product": _SIDE**3, "convolution": _BATCH * _SIZE**2 * _CHANNELS**2 * _KERNEL**2}


def _product() -> Action:
    matrix = _random([_SIDE, _SIDE])
    return _compiled(lambda: tf.matmul(matrix, matrix))


def _convolution() -> Action:
    maps, kernel = _random([_BATCH, _SIZE, _SIZE, _CHANNELS]), _random([_KERNEL, _KERNEL, _CHANNELS, _CHANNELS])
    return _compiled(lambda: tf.nn.conv2d(maps, kernel, 1, "SAME"))


def _random(shape: Sequence[int]) -> tf.Tensor:
    # A variable, because a constant would be folded when the graph is compiled.
    return tf.Variable(tf.cast(tf.random.normal(shape), keras.config.dtype_policy().compute_dtype))


def _compiled(operation: Callable[[], tf.Tensor]) -> Action:
    compiled = tf.function(lambda: tf.reduce_max(operation()))
    return lambda: float(compiled())


if __name__ == "__main__":
    main()
