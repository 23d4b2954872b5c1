"""CRD: Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020, arXiv:1910.10699.

The student's embedding of an image should be nearer to the teacher's embedding of this image than to those of images of
other classes, and the other way round. Both networks have a bank: a running mean of each training image's embedding.

The authors' code draws K images of other classes. Here all of them count, each with the weight K / their number. This
is the mean over all draws, without its noise. It is cheaper if K is not much smaller than the training set, and a
resumed run and several replicas need no common random numbers.
"""

import keras
import numpy as np
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive, PositiveInt, Probability
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.connectors import linear_embedding
from kd_bench.distillers.tensors import global_batch, in_float32

_EPSILON = 1e-7
"""Added to the denominators of the probabilities (authors' code)."""
_UNSET = -1.0


def unit(embeddings: tf.Tensor) -> tf.Tensor:
    """Returns embeddings `[B,D]` of unit length in float32; an embedding of zeros stays one."""
    return tf.math.l2_normalize(in_float32(embeddings), axis=-1)


def similarities(anchors: tf.Tensor, bank: tf.Tensor, temperature: float) -> tf.Tensor:
    """Returns exp(anchor . entry / temperature) of all pairs, `[B,N]`.

    Args:
        anchors: `[B,D]`, of unit length.
        bank: `[N,D]`, of unit length; gets no gradient.
        temperature: above 0.
    """
    return tf.exp(tf.matmul(anchors, tf.stop_gradient(bank), transpose_b=True) / temperature)


def draw_weights(labels: tf.Tensor, all_labels: tf.Tensor, negatives: int) -> tf.Tensor:
    """Returns how often each training image is drawn for an image on average, if `negatives` of other classes are.

    Args:
        labels: of the images, `[B]`.
        all_labels: of all training images, `[N]`.
        negatives: K, the number of draws.

    Returns:
        `[B,N]`; zeros if all images have one class.
    """
    other_classes = tf.cast(labels[:, None] != all_labels[None], tf.float32)
    return tf.math.divide_no_nan(negatives * other_classes, tf.reduce_sum(other_classes, axis=1, keepdims=True))


def mean_similarity(scores: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor, negatives: int) -> tf.Tensor:
    """Returns the mean of the similarities of one positive and `negatives` negatives, over the batch: a scalar.

    Args:
        scores: `[B,N]`.
        indices: of the images in the training set, `[B]`.
        weights: of `draw_weights`.
        negatives: K.
    """
    positive = tf.gather(scores, indices, batch_dims=1)
    drawn = tf.reduce_sum(tf.cast(weights, scores.dtype) * scores, axis=1)
    return tf.reduce_mean(positive + drawn) / (negatives + 1)


def contrastive_loss(scores: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor, negatives: int) -> tf.Tensor:
    """Returns -log h(positive) - the weighted sum over the negatives of log(1 - h), a mean over the batch (eq. 18).

    h = score / (score + K / N) is the probability that a pair is a positive one.

    Args:
        scores: `[B,N]`, divided by their normaliser.
        indices: as in `mean_similarity`.
        weights: as in `mean_similarity`.
        negatives: K.
    """
    noise = negatives / scores.shape[1]
    positive = tf.gather(scores, indices, batch_dims=1)
    positive_term = tf.math.log(positive / (positive + noise + _EPSILON))
    negative_terms = tf.math.log(noise / (scores + noise + _EPSILON))
    drawn = tf.reduce_sum(tf.cast(weights, scores.dtype) * negative_terms, axis=1)
    return -tf.reduce_mean(positive_term + drawn)


def updated_bank(bank: tf.Tensor, indices: tf.Tensor, embeddings: tf.Tensor, momentum: float) -> tf.Tensor:
    """Returns the bank with new entries: unit length of momentum * entry + (1 - momentum) * embedding.

    Args:
        bank: `[N,D]`.
        indices: `[B]`.
        embeddings: `[B,D]`.
        momentum: in [0, 1].
    """
    entries = unit(momentum * tf.gather(bank, indices) + (1 - momentum) * tf.stop_gradient(embeddings))
    return tf.tensor_scatter_nd_update(bank, indices[:, None], entries)


class ContrastiveRepresentation(Distiller):
    """One stage: cross-entropy + weight * the contrastive losses of both networks' embeddings.

    The banks and the normalisers are part of the state. Every replica updates them with the global batch.
    """

    needs_embedding = True
    supports_mixed_images = False

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        size: PositiveInt,
        negatives: PositiveInt,
        temperature: Positive,
        momentum: Probability,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        self.negatives = negatives
        self.temperature = temperature
        self.momentum = momentum
        self.embeddings = [linear_embedding(network.output["embedding"], size) for network in (student, teacher)]
        self.trained = self.embeddings
        self.normalisers = [self._add_state((), "normaliser", keras.initializers.Constant(_UNSET)) for _ in range(2)]

    def prepare(self, labels: np.ndarray, batch_size: int) -> None:
        """Makes the banks, with random entries (uniform, of unit length on average: authors' code).

        There are no more negatives than training images.
        """
        self.all_labels = labels
        if self.negatives > len(labels):
            self.adjust("negatives", self.negatives, len(labels))
        size = self.embeddings[0].output.shape[-1]
        bound = (3 / size) ** 0.5
        start = keras.initializers.RandomUniform(-bound, bound)
        self.banks = [self._add_state((len(labels), size), "bank", start) for _ in range(2)]

    def _add_state(self, shape: tuple[int, ...], name: str, start: keras.Initializer) -> keras.Variable:
        # All replicas assign the same value: the first one's is everyone's.
        return self.add_weight(
            shape=shape, initializer=start, trainable=False, name=name, aggregation="only_first_replica"
        )

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted loss on the global batch, the same on every replica, and updates the banks."""
        indices = global_batch(batch.indices)
        weights = draw_weights(tf.gather(self.all_labels, indices), tf.constant(self.all_labels), self.negatives)
        outputs = batch.student["embedding"], tf.stop_gradient(batch.teacher["embedding"])
        embeddings = [
            global_batch(unit(embedding(output))) for embedding, output in zip(self.embeddings, outputs, strict=True)
        ]
        losses = [
            contrastive_loss(self._normalised(network, anchors, indices, weights), indices, weights, self.negatives)
            for network, anchors in enumerate(embeddings)
        ]
        for bank, anchors in zip(self.banks, embeddings, strict=True):
            bank.assign(updated_bank(bank.value, indices, anchors, self.momentum))
        return self.weight * tf.add_n(losses)

    def _normalised(self, network: int, anchors: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns one network's similarities with the other's bank, by a normaliser that the first batch sets."""
        scores = similarities(anchors, self.banks[1 - network].value, self.temperature)
        normaliser = self.normalisers[network]
        initial = mean_similarity(tf.stop_gradient(scores), indices, weights, self.negatives) * scores.shape[1]
        normaliser.assign(tf.where(normaliser.value < 0, initial, normaliser.value))
        return scores / normaliser.value
