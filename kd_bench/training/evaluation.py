"""What a network answers on the test set."""

import itertools

import keras
import numpy as np
import tensorflow as tf


class Evaluator:
    """Predicts the classes of one set of images, again and again as the network learns."""

    def __init__(self, network: keras.Model, batches: tf.data.Dataset, labels: np.ndarray) -> None:
        """Takes the network, the images in batches and in order, and their labels `[N]`."""
        # One iterator for all evaluations: to make one takes as long as to evaluate a small network.
        self._batches = iter(batches.repeat())
        self._count = len(batches)
        self._labels = labels

        @tf.function(reduce_retracing=True, autograph=False)
        def predict(images: tf.Tensor) -> tf.Tensor:
            return tf.argmax(network(images, training=False)["logits"], axis=-1, output_type=tf.int32)

        self._predict = predict

    def predictions(self) -> np.ndarray:
        """Returns the predicted class of every image, `[N]` int32."""
        return np.concatenate(
            [self._predict(images).numpy() for images, _ in itertools.islice(self._batches, self._count)]
        )

    def accuracy(self) -> float:
        """Returns the share of images whose class is predicted right."""
        return float(np.mean(self.predictions() == self._labels))
