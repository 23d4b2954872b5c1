"""The logits and the accuracy of a network on held-out images: the test set, or the images of `validation`."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from kd_bench.training.scores import accuracy


class Evaluator:
    """Evaluates a network on the same images, as often as needed during training."""

    def __init__(self, network: keras.Model, batches: tf.data.Dataset, labels: np.ndarray) -> None:
        """Takes the network, the images in batches and in order, and their labels `[N]`."""
        # One iterator for all evaluations: making one takes as long as evaluating a small network.
        self._batches = iter(batches.repeat())
        self._count = len(batches)
        self._labels = labels
        self._latest: np.ndarray | None = None

        @tf.function(reduce_retracing=True, autograph=False)
        def predict(images: tf.Tensor) -> tf.Tensor:
            return network(images, training=False)["logits"]

        self._predict = predict

    def logits(self) -> np.ndarray:
        """Returns the logits of all images, `[N,K]` float32."""
        batches = itertools.islice(self._batches, self._count)
        self._latest = np.concatenate([self._predict(images).numpy() for images, _ in batches])
        return self._latest

    def latest(self) -> np.ndarray:
        """Returns the logits of the latest evaluation; evaluates if there was none."""
        return self.logits() if self._latest is None else self._latest

    def accuracy(self) -> float:
        """Returns the share of images whose predicted class is the label."""
        return accuracy(self.logits(), self._labels)
