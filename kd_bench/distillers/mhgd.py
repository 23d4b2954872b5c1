"""MHGD: Lee, Song, "Graph-based Knowledge Distillation by Multi-head Attention Network", BMVC 2019, arXiv:1907.02226.

A graph describes what a network does to a batch between two depths: how much attention the deep vector of each sample
pays to the shallow vectors of all samples. Phase 1 trains an attention network to predict the teacher's deep vectors
from its shallow ones. Phase 2 freezes this network, computes the graphs of student and teacher with it, and matches
them.

The network and the constants are from the authors' TF1 repository, the share of phase 1 from their TF2 repository.
Later versions of the TF2 repository, RepDistiller, mdistiller and torchdistill have no MHGD.

At first nearly all attention logits are so large that tanh is flat, and the graphs have no gradient. Only the weight
decay of phase 1 makes them smaller. That takes more than a thousand steps also in a short run, hence
`attention_min_steps`. Phase 1 of the authors has 7,800 (TF2) or 15,600 (TF1) steps.
"""

import itertools
import random
from collections.abc import Sequence

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, NonNegativeInt, PositiveInt, Share
from kd_bench.distillers.base import Batch, Stage
from kd_bench.distillers.connectors import Ending
from kd_bench.distillers.gradient_clip import Clip, ClippedDistiller
from kd_bench.distillers.singular_vectors import distilled_vectors, top_vectors
from kd_bench.distillers.tensors import constant, global_batch, in_float32, require_same_shape
from kd_bench.layers import batch_norm

_SATURATED = 3.0
"""Attention logits larger than this have almost no gradient through tanh. Their share is logged."""
_WARNING_SHARE = 0.5
"""Above this share of saturated logits, the method warns."""


def mhgd_vectors(
    student_features: Sequence[tf.Tensor], teacher_features: Sequence[tf.Tensor], extra: int = 3
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Returns the top singular vector of each sample at each point; the student's have the signs of the teacher's.

    Args:
        student_features: `[B,H,W,D]` each.
        teacher_features: the same number, with the same channels; get no gradient.
        extra: how many more of the student's vectors are compared with the teacher's.

    Returns:
        `[B,D]` each, of unit length.
    """
    student, teacher = distilled_vectors(student_features, teacher_features, 1, extra, "eid")
    return [vectors[..., 0] for vectors in student], [vectors[..., 0] for vectors in teacher]


def attention_logits(keys: tf.Tensor, queries: tf.Tensor, heads: int) -> tf.Tensor:
    """Returns the inner products of the keys and queries of all samples in each head, without scaling.

    Args:
        keys: of the deep vectors, `[B,D*A]`, where the head is the fastest axis.
        queries: of the shallow vectors, `[B,D*A]`, where the head is the fastest axis.
        heads: A.

    Returns:
        `[A,B,B]`: deep samples in rows, shallow ones in columns.
    """
    keys, queries = (tf.reshape(side, [-1, side.shape[1] // heads, heads]) for side in (keys, queries))
    return tf.einsum("ica,jca->aij", keys, queries)


def drop_head(graph: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Removes about half of the heads of each row: those with less noise than the mean of the heads.

    Args:
        graph: `[A,B,B]`.
        noise: `[A,B,1]`.
    """
    kept = noise >= tf.reduce_mean(noise, axis=0, keepdims=True)
    return graph * tf.cast(kept, graph.dtype)


def attention_loss(predicted: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns 1 - cosine, a mean over the samples.

    Args:
        predicted: unit vectors, `[B,D]`.
        target: unit vectors of the teacher, `[B,D]`; get no gradient.
    """
    predicted, target = in_float32(predicted), constant(target)
    require_same_shape("attention_loss", predicted, target)
    return tf.reduce_mean(1 - tf.reduce_sum(predicted * target, axis=-1))


def graph_kl(student_graph: tf.Tensor, teacher_graph: tf.Tensor) -> tf.Tensor:
    """Returns KL(student || teacher) of softmax(tanh(logits)) over the columns, a sum over heads and rows.

    Args:
        student_graph: attention logits, `[A,B,B]`.
        teacher_graph: attention logits, `[A,B,B]`; get no gradient.
    """
    student_graph, teacher_graph = in_float32(student_graph), constant(teacher_graph)
    require_same_shape("graph_kl", student_graph, teacher_graph)
    student, teacher = (tf.nn.log_softmax(tf.tanh(graph)) for graph in (student_graph, teacher_graph))
    return tf.reduce_sum(tf.exp(student) * (student - teacher))


class GraphAttention(keras.layers.Layer):
    """The attention network of one pair of points, always in float32."""

    def __init__(self, shallow: int, deep: int, heads: int) -> None:
        super().__init__(dtype="float32")
        width = (shallow + deep) // 2
        self.heads = heads
        self.keys = _embedding(deep, width * heads)
        # No offset for the queries: it would add the same to all columns of a row, which softmax ignores.
        self.queries = _embedding(shallow, width * heads, center=False)
        self.values = _embedding(shallow, width)
        self.prediction = keras.Sequential([keras.Input([width * heads]), _dense(deep, use_bias=True)])
        self.built = True  # as its parts are; it is not called itself

    def logits(self, shallow: tf.Tensor, deep: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the attention logits `[A,B,B]` of vectors `[B,D1]` and `[B,D2]`."""
        keys, queries = self.keys(deep, training=training), self.queries(shallow, training=training)
        return attention_logits(keys, queries, self.heads)

    def predict(self, shallow: tf.Tensor, deep: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Returns the deep vectors, `[B,D2]` of unit length, predicted from the shallow ones in training mode.

        Args:
            shallow: `[B,D1]`.
            deep: `[B,D2]`.
            noise: of `drop_head`, `[A,B,1]`.
        """
        graph = drop_head(tf.nn.softmax(self.logits(shallow, deep, training=True)), noise)
        values = tf.nn.relu(self.values(shallow, training=True))
        attended = tf.transpose(tf.matmul(graph, values[None]), [1, 0, 2])
        flat = tf.reshape(attended, [-1, self.heads * values.shape[-1]])
        return tf.math.l2_normalize(self.prediction(flat), axis=-1)


def _embedding(size: int, units: int, center: bool = True) -> keras.Model:
    normalised = batch_norm(center=center, dtype="float32")
    return keras.Sequential([keras.Input([size]), _dense(units, use_bias=False), normalised])


def _dense(units: int, use_bias: bool) -> keras.layers.Layer:
    initializer = keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=initializer, dtype="float32")


class MHGD(ClippedDistiller):
    """Two stages: the attention network on the teacher, then cross-entropy + weight * graph_kl, by clipped gradients.

    Both stages use the global batch, the same on all replicas. The weight decay of the attention network is a term of
    its loss, as in the authors' code, instead of the protocol's. The second stage does not train this network.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        heads: PositiveInt,
        extra: NonNegativeInt,
        attention_share: Share,
        attention_min_steps: NonNegativeInt,
        attention_decay: NonNegative,
        connector: Ending,
        clip: Clip,
        weight: NonNegative,
    ) -> None:
        super().__init__(student, teacher, connector, clip, weight)
        self.heads = heads
        self.extra = extra
        self.attention_share = attention_share
        self.attention_min_steps = attention_min_steps
        self.attention_decay = attention_decay
        channels = [features.shape[-1] for features in teacher.output["post"]]
        self.attention = [GraphAttention(*pair, heads) for pair in itertools.pairwise(channels)]
        self.noise_seed = random.getrandbits(31)  # keras.utils.set_random_seed seeds this module too
        self.saturated = keras.metrics.Mean(name="saturated_attention")
        self.own_metrics.append(self.saturated)

    def stages(self) -> list[Stage]:
        """Returns the attention stage, which does not train the student, and the main stage."""
        attention = Stage(
            "attention",
            {"attention": self.attention_term, "decay": self.decay_term},
            self.attention,
            self.attention_share,
            self.attention_min_steps,
            learning_rate="constant",
            no_weight_decay=self._attention_variables(),
        )
        return [attention, self.main_stage()]

    def warnings(self) -> list[str]:
        """Returns a warning if most attention logits were saturated: the graphs then had no gradient."""
        saturated = float(self.saturated.result())
        if saturated <= _WARNING_SHARE:
            return []
        return [
            f"MHGD: {saturated:.0%} of the attention logits were saturated, so that hardly any gradient reached the "
            "student; raise method.attention_min_steps, method.attention_share or method.attention_decay."
        ]

    def attention_term(self, batch: Batch) -> tf.Tensor:
        """Returns how far the predicted vectors are from the teacher's, summed over pairs of points."""
        vectors = [global_batch(top_vectors(constant(m), 1, "eid")[1][..., 0]) for m in batch.teacher["post"]]
        losses = []
        for index, (attention, pair) in enumerate(zip(self.attention, itertools.pairwise(vectors), strict=True)):
            predicted = attention.predict(*pair, self._noise(index, tf.shape(pair[0])[0]))
            losses.append(attention_loss(predicted, pair[1]))
        return tf.add_n(losses)

    def decay_term(self, batch: Batch) -> tf.Tensor:
        """Returns attention_decay * sum of squares of the attention network's variables, all of them."""
        return self.attention_decay * tf.add_n([tf.reduce_sum(v.value**2) for v in self._attention_variables()])

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted divergence of the graphs of the global batch."""
        vectors = mhgd_vectors(self.student_maps(batch), batch.teacher["post"], self.extra)
        student, teacher = ([global_batch(vector) for vector in side] for side in vectors)
        losses = []
        for attention, student_pair, teacher_pair in zip(
            self.attention, itertools.pairwise(student), itertools.pairwise(teacher), strict=True
        ):
            logits = attention.logits(*student_pair, training=False)
            losses.append(graph_kl(logits, attention.logits(*teacher_pair, training=False)))
            self.saturated.update_state(tf.cast(tf.abs(logits) > _SATURATED, tf.float32))
        return self.weight * tf.add_n(losses)

    def _attention_variables(self) -> list[keras.Variable]:
        return [variable for attention in self.attention for variable in attention.trainable_variables]

    def _noise(self, index: int, samples: tf.Tensor) -> tf.Tensor:
        # The same noise on all replicas, and different noise at each step.
        seed = [self.noise_seed + index, tf.cast(self.optimizer.iterations.value, tf.int32)]
        return tf.random.stateless_normal([self.heads, samples, 1], seed)
