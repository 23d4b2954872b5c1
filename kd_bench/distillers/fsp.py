"""FSP: Yim, Joo, Bae, Kim, "A Gift from Knowledge Distillation", CVPR 2017.

Knowledge is the flow between two layers: the Gram matrix of the channels of an earlier and a later feature map.
Stage 1 trains the student to reproduce the teacher's matrices. Stage 2 continues from there and trains it on the task.
"""

import itertools
from collections.abc import Sequence

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Share
from kd_bench.distillers.base import Batch, Distiller, Loss, Stage
from kd_bench.distillers.connectors import Ending, connectors, pool_to
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape


def fsp_matrix(shallow: tf.Tensor, deep: tf.Tensor) -> tf.Tensor:
    """Returns the mean over space of shallow[..., i] * deep[..., j] (eq. 1); the larger map is max-pooled first.

    Args:
        shallow: `[B,H,W,D1]`.
        deep: `[B,h,w,D2]`, where one size is a multiple of the other.

    Returns:
        `[B,D1,D2]`.
    """
    if shallow.shape[1] >= deep.shape[1]:
        shallow = pool_to(shallow, deep, tf.nn.max_pool2d)
    else:
        deep = pool_to(deep, shallow, tf.nn.max_pool2d)
    positions = deep.shape[1] * deep.shape[2]
    return tf.einsum("bhwi,bhwj->bij", shallow, deep) / positions


def fsp_loss(student_features: Sequence[tf.Tensor], teacher_features: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the squared Frobenius distance of the FSP matrices, summed over pairs, a mean over the batch (eq. 2).

    Args:
        student_features: `[B,H,W,D]` each, shallow to deep; at least two.
        teacher_features: the same number, with the same channels; get no gradient.

    Raises:
        ValueError: channels differ.
    """
    students, teachers = map(in_float32, student_features), map(constant, teacher_features)
    losses = []
    for student_pair, teacher_pair in zip(itertools.pairwise(students), itertools.pairwise(teachers), strict=True):
        student, teacher = fsp_matrix(*student_pair), fsp_matrix(*teacher_pair)
        require_same_shape("fsp_loss", student, teacher)
        losses.append(tf.reduce_mean(tf.reduce_sum((student - teacher) ** 2, axis=[1, 2])))
    return tf.add_n(losses)


class FSP(Distiller):
    """Two stages: weight * fsp_loss on the `post` maps of all points at a constant learning rate, then the task alone.

    Where channels differ, a connector (1x1 convolution, batch norm) follows the student's map, in stage 1 only.
    """

    min_points = 2

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        flow_share: Share,
        connector: Ending,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        self.flow_share = flow_share
        self.features = keras.Model(student.inputs, student.output["post"])
        self.connectors = connectors(student.output["post"], teacher.output["post"], ending=connector)

    def stages(self) -> list[Stage]:
        """Returns the flow stage, which trains everything except the classifier, and the main stage."""
        terms, trained = {"flow": self.flow_loss}, [self.features, self.connectors]
        flow = Stage("flow", terms, trained, self.flow_share, learning_rate="constant")
        return [flow, self.main_stage()]

    def terms(self) -> dict[str, Loss]:
        """Returns the cross-entropy alone."""
        return {"task": self.task_loss}

    def flow_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted distance of the FSP matrices."""
        connected = self.connectors(self.features(batch.images, training=True), training=True)
        return self.weight * fsp_loss(connected, batch.teacher["post"])
