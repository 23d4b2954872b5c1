"""Factor transfer: Kim, Park, Kwak, "Paraphrasing Complex Network", NeurIPS 2018, arXiv:1802.04977.

An auto-encoder, the paraphraser, learns without labels to reconstruct the teacher's last feature map. Its bottleneck is
the teacher's factor. A translator, trained with the student, computes the student's factor from the student's last map.

Paper and authors' code differ: the paper has squared error and batch norm, the code L1 and no batch norm.
`reconstruction_power` and `batch_norm` choose; the defaults are the code's. Our own choices: Keras's default
initialisation, and a minimum number of steps for the paraphraser. RepDistiller pools the factors over channels, which
is not FT.

A factor has unit length over all its positions, so the mean of differences is smaller for larger maps (`scaling.py`).
"""

from typing import Literal

import keras
import tensorflow as tf

from kd_bench import layers
from kd_bench.checks import NonNegative, NonNegativeInt, Positive, Share
from kd_bench.distillers.base import Batch, Distiller, Outputs, Stage
from kd_bench.distillers.connectors import pool_to, smaller_size
from kd_bench.distillers.scaling import area_ratio
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape
from kd_bench.errors import ConfigError

_LEAK = 0.1


def factor_transfer_loss(student_factor: tf.Tensor, teacher_factor: tf.Tensor, p: int = 1) -> tf.Tensor:
    """Returns the mean over all entries of |n(student) - n(teacher)|**p, n(F) = F / ||F|| for each sample.

    Args:
        student_factor: `[B,H,W,C]`.
        teacher_factor: the same shape; gets no gradient.
        p: 1 or 2.

    Raises:
        ValueError: the shapes differ.
    """
    student_factor, teacher_factor = in_float32(student_factor), constant(teacher_factor)
    require_same_shape("factor_transfer_loss", student_factor, teacher_factor)
    student, teacher = (tf.math.l2_normalize(factor, axis=[1, 2, 3]) for factor in (student_factor, teacher_factor))
    return tf.reduce_mean(tf.abs(student - teacher) ** p)


def paraphraser_loss(reconstruction: tf.Tensor, features: tf.Tensor, p: int = 1) -> tf.Tensor:
    """Returns the mean over all entries of |features - reconstruction|**p.

    Args:
        reconstruction: `[B,H,W,C]`.
        features: the teacher's, the same shape; get no gradient.
        p: 1 in the authors' code, 2 in the paper.

    Raises:
        ValueError: the shapes differ.
    """
    reconstruction, features = in_float32(reconstruction), constant(features)
    require_same_shape("paraphraser_loss", reconstruction, features)
    return tf.reduce_mean(tf.abs(features - reconstruction) ** p)


def encoder(size: tuple[int, int], channels: int, factors: int, batch_norm: bool) -> keras.Model:
    """Returns the model from a map `[B,H,W,channels]` to its factor `[B,H,W,factors]`. The translator is one, too."""
    return _stack(keras.layers.Conv2D, (*size, channels), [channels, factors, factors], batch_norm)


def decoder(size: tuple[int, int], factors: int, channels: int, batch_norm: bool) -> keras.Model:
    """Returns the model from a factor `[B,H,W,factors]` back to the map `[B,H,W,channels]`."""
    return _stack(keras.layers.Conv2DTranspose, (*size, factors), [factors, channels, channels], batch_norm)


def _stack(convolution: type, shape: tuple[int, ...], widths: list[int], batch_norm: bool) -> keras.Model:
    features = hidden = keras.Input(shape)
    for width in widths:
        hidden = convolution(width, 3, padding="same", use_bias=not batch_norm)(hidden)
        if batch_norm:
            hidden = layers.batch_norm()(hidden)
        hidden = keras.layers.LeakyReLU(_LEAK)(hidden)
    return keras.Model(features, hidden)


class FactorTransfer(Distiller):
    """Two stages: the paraphraser on the teacher alone, then cross-entropy + beta * factor loss.

    The loss uses the last `post` maps. If sizes differ, the larger map is average-pooled first. The factor has rate *
    C_t channels. The paraphraser learns at a constant learning rate and is frozen in the main stage. With
    `area_scaling`, beta is multiplied by the area ratio of the maps to the power of p / 2.
    """

    min_points = 1

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        beta: NonNegative,
        area_scaling: bool,
        power: Literal[1, 2],
        rate: Positive,
        batch_norm: bool,
        reconstruction_power: Literal[1, 2],
        paraphraser_share: Share,
        paraphraser_min_steps: NonNegativeInt,
        paraphraser_learning_rate: Positive,
    ) -> None:
        super().__init__(student, teacher)
        self.beta = beta
        if area_scaling:
            self.adjust("beta", beta, beta * area_ratio(student, teacher) ** (power / 2))
        self.power = power
        self.reconstruction_power = reconstruction_power
        self.paraphraser_share = paraphraser_share
        self.paraphraser_min_steps = paraphraser_min_steps
        self.paraphraser_learning_rate = paraphraser_learning_rate
        student_map, teacher_map = student.output["post"][-1], teacher.output["post"][-1]
        size, channels = smaller_size(student_map, teacher_map), teacher_map.shape[-1]
        factors = _bottleneck(rate, channels)
        self.encoder = encoder(size, channels, factors, batch_norm)
        self.decoder = decoder(size, factors, channels, batch_norm)
        self.translator = encoder(size, student_map.shape[-1], factors, batch_norm)
        self.trained = [self.translator]

    def stages(self) -> list[Stage]:
        """Returns the paraphraser's stage, in which the student does not run, and the main stage."""
        paraphraser = Stage(
            "paraphraser",
            {"reconstruction": self.reconstruction_loss},
            [self.encoder, self.decoder],
            self.paraphraser_share,
            self.paraphraser_min_steps,
            learning_rate="constant",
            learning_rate_scale=self.paraphraser_learning_rate,
        )
        return [paraphraser, self.main_stage()]

    def reconstruction_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the paraphraser's error on the teacher's map."""
        features = _pooled(batch.teacher, self.encoder)
        reconstruction = self.decoder(self.encoder(features, training=True), training=True)
        return paraphraser_loss(reconstruction, features, self.reconstruction_power)

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted distance of the factors."""
        student_factor = self.translator(_pooled(batch.student, self.translator), training=True)
        teacher_factor = self.encoder(_pooled(batch.teacher, self.encoder), training=False)
        return self.beta * factor_transfer_loss(student_factor, teacher_factor, self.power)


def _bottleneck(rate: float, channels: int) -> int:
    factors = round(rate * channels)
    if factors < 1:
        raise ConfigError(
            f"method.rate={rate}: leaves nothing of the teacher's {channels} channels; choose a larger one."
        )
    return factors


def _pooled(outputs: Outputs, reader: keras.Model) -> tf.Tensor:
    return pool_to(outputs["post"][-1], reader.input, tf.nn.avg_pool2d)
