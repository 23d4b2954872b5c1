"""FitNet: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv:1412.6550.

Stage 1 trains the student's lower half and a regressor to predict a middle layer of the teacher. Stage 2 trains the
whole student. There is one hint, as in the paper; public ports use three, or train both stages at once.
"""

from typing import Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, NonNegativeInt, Positive, Share
from kd_bench.distillers.base import Batch, Distiller, Loss, Stage
from kd_bench.distillers.connectors import connector, require_same_sizes
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape
from kd_bench.errors import ConfigError


def hint_loss(student_hint: tf.Tensor, teacher_hint: tf.Tensor) -> tf.Tensor:
    """Returns half the squared difference, summed over channels, a mean over batch and space (authors' `HintCost`).

    Args:
        student_hint: the regressor's output, `[B,H,W,C]`.
        teacher_hint: `[B,H,W,C]`; gets no gradient.

    Raises:
        ValueError: the shapes differ.
    """
    student_hint, teacher_hint = in_float32(student_hint), constant(teacher_hint)
    require_same_shape("hint_loss", student_hint, teacher_hint)
    return 0.5 * tf.reduce_mean(tf.reduce_sum((student_hint - teacher_hint) ** 2, axis=-1))


def soft_cross_entropy(student_logits: tf.Tensor, teacher_logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """Returns the cross-entropy of the softened distributions, without temperature**2 (authors' `KDCost`)."""
    targets = tf.nn.softmax(constant(teacher_logits) / temperature)
    logits = in_float32(student_logits) / temperature
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))


class FitNet(Distiller):
    """Two stages: the hint at a constant learning rate, then the task (`ce`), or the task and soft targets (`kd`).

    The regressor is a 1x1 convolution with batch norm on the maps before the ReLU. It is linear, so that it can predict
    the teacher's negative values.
    """

    min_points = 1

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        hint_point: NonNegativeInt,
        hint_share: Share,
        stage2: Literal["ce", "kd"],
        temperature: Positive,
        kd_weights: tuple[NonNegative, NonNegative],
    ) -> None:
        super().__init__(student, teacher)
        self.hint_point = hint_point
        self.hint_share = hint_share
        self.stage2 = stage2
        self.temperature = temperature
        self.kd_weights = kd_weights
        points = len(student.output["pre"])
        if hint_point >= points:
            raise ConfigError(f"method.hint_point={hint_point}: must be below {points}, the number of feature points.")
        hint, guided = teacher.output["pre"][hint_point], student.output["pre"][hint_point]
        require_same_sizes("FitNet", [guided], [hint])
        self.guided = keras.Model(student.inputs, guided)
        self.regressor = connector(guided, hint)

    def stages(self) -> list[Stage]:
        """Returns the hint stage, which trains only the layers up to the hint, and the main stage."""
        terms, trained = {"hint": self.hint_term}, [self.guided, self.regressor]
        hint = Stage("hint", terms, trained, self.hint_share, learning_rate="constant")
        return [hint, self.main_stage()]

    def terms(self) -> dict[str, Loss]:
        """Returns the terms of the main stage."""
        return super().terms() if self.stage2 == "kd" else {"task": self.task_loss}

    def hint_term(self, batch: Batch) -> tf.Tensor:
        """Returns the hint loss. The student's upper half does not run, so its moving statistics do not change."""
        regressed = self.regressor(self.guided(batch.images, training=True), training=True)
        return hint_loss(regressed, batch.teacher["pre"][self.hint_point])

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns lambda * soft cross-entropy; lambda decreases linearly during the stage (section 2.2)."""
        first, last = self.kd_weights
        weight = first + (last - first) * batch.progress
        return weight * soft_cross_entropy(batch.student["logits"], batch.teacher["logits"], self.temperature)
