"""CTKD: Li et al., "Curriculum Temperature for Knowledge Distillation", AAAI 2023, arXiv:2211.16231.

Soft logits with a learned temperature. Student and temperature are adversaries: the student makes the loss smaller, the
temperature makes it larger, more and more in the first epochs. So the task becomes harder as the student learns.

This is the variant with one temperature for all images, and the constants are those of the authors' code. With
standardised logits it is the CTKD of Sun et al., CVPR 2024: see `soft_logits.py`.
"""

import math

import keras
import tensorflow as tf

from kd_bench.checks import ExactShare, NonNegative, Positive
from kd_bench.distillers.base import Batch, Distiller
from kd_bench.distillers.soft_logits import logit_transform, soft_logits_loss
from kd_bench.distillers.warmup import warmup

_CURRICULUM_EPOCHS = 10


@tf.custom_gradient
def reversed_gradient(value: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Returns the value; its gradient is multiplied by -factor, so that descent makes the loss larger."""
    return tf.identity(value), lambda gradient: (-factor * gradient, None)


def difficulty(batch: Batch, share: float | str) -> tf.Tensor:
    """Returns the factor of the reversed gradient, which rises in equal steps of time along a cosine from 0 to 1.

    The authors' factor of epoch e, counted from 1, is (1 - cos(pi * min(e, 10) / 10)) / 2.

    Args:
        batch: of the step.
        share: the rise's share of the stage; 0 for none.
    """
    return (1 - tf.cos(math.pi * warmup(batch, share, _CURRICULUM_EPOCHS))) / 2


class CurriculumTemperature(Distiller):
    """One stage: task_weight * cross-entropy + distill_weight * soft_logits_loss with a learned temperature.

    The temperature is lowest + span * sigmoid(v) with one trained number v, which starts at 1.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        task_weight: NonNegative,
        distill_weight: NonNegative,
        lowest: Positive,
        span: Positive,
        curriculum_share: ExactShare,
        standardize: bool = False,
    ) -> None:
        super().__init__(student, teacher)
        self.task_weight = task_weight
        self.distill_weight = distill_weight
        self.lowest = lowest
        self.span = span
        self.curriculum_share = curriculum_share
        self.transform = logit_transform(standardize)
        self.raw_temperature = self.add_weight(shape=(), initializer="ones", name="raw_temperature")
        self.trained = [self.raw_temperature]
        self.own_metrics.append(keras.metrics.Mean(name="temperature"))

    def task_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted cross-entropy."""
        return self.task_weight * super().task_loss(batch)

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted divergence at the present temperature."""
        raw = reversed_gradient(self.raw_temperature.value, difficulty(batch, self.curriculum_share))
        temperature = self.lowest + self.span * tf.sigmoid(raw)
        self.own_metrics[0].update_state(temperature)
        logits = self.transform(batch.student["logits"]), self.transform(batch.teacher["logits"])
        return self.distill_weight * soft_logits_loss(*logits, temperature)
