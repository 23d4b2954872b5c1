"""Finds which loss became NaN or infinite, and when. The step itself counts, so that one call can do several steps."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class FiniteSteps(keras.Metric):
    """Counts, for each term of the loss, the steps before its first value that is NaN or infinite.

    Attributes:
        terms: their names.
    """

    def __init__(self, terms: Sequence[str]) -> None:
        super().__init__(name="finite_steps")
        self.terms = list(terms)
        self._non_finite = self.add_weight(shape=(len(terms),), initializer="zeros", dtype="float32", name="non_finite")
        self._steps = self.add_weight(shape=(len(terms),), initializer="zeros", dtype="float32", name="steps")

    def update_state(self, values: tf.Tensor) -> None:
        """Takes a step's terms, `[len(terms)]`."""
        is_non_finite = tf.cast(~tf.math.is_finite(values), tf.float32)
        self._non_finite.assign(tf.maximum(self._non_finite.value, is_non_finite))
        self._steps.assign_add(1 - self._non_finite.value)

    def result(self) -> tf.Tensor:
        """Returns the counts, `[len(terms)]` float32; with several replicas, the sum of their counts."""
        return tf.convert_to_tensor(self._steps.value)

    def first_non_finite(self, replicas: int) -> tuple[int, list[str]] | None:
        """Returns the number of steps before the first NaN or infinity, and the terms that had it; None if none had."""
        non_finite = [name for name, value in zip(self.terms, self._non_finite.numpy(), strict=True) if value]
        if not non_finite:
            return None
        steps = dict(zip(self.terms, self._steps.numpy() // replicas, strict=True))
        first = min(steps[name] for name in non_finite)
        return int(first), [name for name in non_finite if steps[name] == first]
