"""Activation boundaries: Heo, Lee, Yun, Choi, AAAI 2019, arXiv:1811.03233.

In full "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons".

Stage 1 trains the student's neurons to be active where the teacher's are, by a squared hinge with a margin. Stage 2
starts from there. It follows the authors' code with two differences: here the teacher is in inference mode, and the
connectors are initialised by fan-in (no effect on the function, because batch norm follows). The TF2 repository divides
by H*W.
"""

from typing import Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive, Share
from kd_bench.distillers.base import Batch, Distiller, Loss, Stage
from kd_bench.distillers.connectors import connectors, require_same_sizes
from kd_bench.distillers.scaling import area_ratio
from kd_bench.distillers.soft_logits import soft_logits_loss
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape


def activation_boundary_loss(student_feature: tf.Tensor, teacher_feature: tf.Tensor, margin: float = 1.0) -> tf.Tensor:
    """Returns relu(margin - s)**2 where t > 0 and relu(margin + s)**2 elsewhere, summed over space and channels.

    A mean over the batch. It is zero where s has the sign of t and |s| is at least the margin; not where s = t.

    Args:
        student_feature: s, before the ReLU, `[B,H,W,C]`.
        teacher_feature: t, before the ReLU, the same shape; gets no gradient. A neuron at 0 is off.
        margin: above 0.

    Raises:
        ValueError: the shapes differ.
    """
    student_feature, teacher_feature = in_float32(student_feature), constant(teacher_feature)
    require_same_shape("activation_boundary_loss", student_feature, teacher_feature)
    towards_boundary = tf.where(teacher_feature > 0, -student_feature, student_feature)
    violation = tf.nn.relu(margin + towards_boundary)
    return tf.reduce_mean(tf.reduce_sum(violation**2, axis=[1, 2, 3]))


class ActivationBoundary(Distiller):
    """Two stages: the boundaries at a constant learning rate, then the task (`ce`) or soft targets alone (`kd`).

    Stage 1 minimises weight * (l_1 / 4 + l_2 / 2 + l_3), on the `pre` maps of all points. Where channels differ, or
    always with `force_connectors`, a connector (1x1 convolution, batch norm) follows the student's map in stage 1.
    The loss is a sum over positions: with `area_scaling`, the weight is divided by the area ratio of the maps.
    """

    min_points = 1

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        area_scaling: bool,
        margin: Positive,
        boundary_share: Share,
        force_connectors: bool,
        stage2: Literal["ce", "kd"],
        temperature: Positive,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        if area_scaling:
            self.adjust("weight", weight, weight / area_ratio(student, teacher))
        self.margin = margin
        self.boundary_share = boundary_share
        self.stage2 = stage2
        self.temperature = temperature
        student_maps, teacher_maps = student.output["pre"], teacher.output["pre"]
        require_same_sizes("AB", student_maps, teacher_maps)
        self.features = keras.Model(student.inputs, student_maps)
        self.connectors = connectors(student_maps, teacher_maps, always=force_connectors)

    def stages(self) -> list[Stage]:
        """Returns the boundary stage, which trains everything except the classifier, and the main stage."""
        terms, trained = {"boundary": self.boundary_loss}, [self.features, self.connectors]
        boundary = Stage("boundary", terms, trained, self.boundary_share, learning_rate="constant")
        return [boundary, self.main_stage()]

    def terms(self) -> dict[str, Loss]:
        """Returns the one term of the main stage."""
        return {"task": self.task_loss} if self.stage2 == "ce" else {"distill": self.distillation_loss}

    def boundary_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted boundary loss; each point counts half as much as the next deeper one."""
        total = tf.constant(0.0)
        maps = self.connectors(self.features(batch.images, training=True), training=True)
        for connected, target in zip(maps, batch.teacher["pre"], strict=True):
            total = total / 2 + activation_boundary_loss(connected, target, self.margin)
        return self.weight * total

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns KL(teacher || student) of the softened classes, without temperature**2 (authors' code)."""
        loss = soft_logits_loss(batch.student["logits"], batch.teacher["logits"], self.temperature)
        return loss / self.temperature**2
