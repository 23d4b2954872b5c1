"""SimKD: Chen, Mei, Zhang, Wang, Feng, Chen, "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022.

arXiv:2203.14001. The student has no classifier of its own: behind its last feature map stand a projector and the
teacher's classifier, which stays as it is. Only the squared distance of the last feature maps is trained, without
labels. This whole network is evaluated, counted and saved.

The default is the authors' code: the mean of the squared differences over all entries. The paper has their sum, which
diverges on CIFAR-100 with the protocol's learning rate. Between them, and ours: the squared distance at each position,
a mean over the positions, which is the code's mean times the teacher's channels and learns faster in short runs.
"""

import math
from typing import Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, PositiveInt
from kd_bench.distillers.base import Batch, Distiller, Loss, Outputs
from kd_bench.distillers.connectors import classifier_of, pool_to_smaller, pooling_window, smaller_size
from kd_bench.distillers.tensors import in_float32, squared_error
from kd_bench.errors import ConfigError
from kd_bench.layers import batch_norm, convolution


def projector(student: keras.KerasTensor, teacher: keras.KerasTensor, reduction: int) -> keras.Model:
    """Returns a model from the student's map to one with the teacher's channels, and to its mean over the positions.

    Three convolutions, 1x1, 3x3, 1x1, each with batch norm and ReLU. A student's map that is larger is pooled first.

    Args:
        student: the student's symbolic map, `[B,H,W,C_s]`.
        teacher: the teacher's, `[B,h,w,C_t]`.
        reduction: the first two convolutions have C_t / reduction channels, at least 1.

    Raises:
        ConfigError: neither size is a multiple of the other.
    """
    inputs = features = keras.Input(student.shape[1:], dtype=student.dtype)
    if smaller_size(student, teacher) != tuple(student.shape[1:3]):
        features = keras.layers.AveragePooling2D(pooling_window(student, teacher))(features)
    middle = max(1, teacher.shape[-1] // reduction)
    for width, kernel in ((middle, 1), (middle, 3), (teacher.shape[-1], 1)):
        features = keras.layers.ReLU()(batch_norm()(convolution(width, kernel)(features)))
    return keras.Model(inputs, [features, keras.layers.GlobalAveragePooling2D()(features)], name="projector")


class ReusedClassifier(Distiller):
    """One stage: weight * the squared distance of the last maps (eq. 3 of the paper), without cross-entropy.

    The deployed network is student, projector and the teacher's classifier.
    """

    min_points = 1
    needs_embedding = True

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        weight: NonNegative,
        distance: Literal["code", "position", "paper"],
        reduction: PositiveInt,
    ) -> None:
        super().__init__(student, teacher)
        self.weight = weight
        if distance != "code":
            self.adjust("weight", weight, weight * _entries(student, teacher, distance))
        self.reusing = _reusing(student, teacher, reduction)

    @property
    def deployed(self) -> keras.Model:
        """The student with projector and the teacher's classifier."""
        return self.reusing

    def terms(self) -> dict[str, Loss]:
        """Returns the distance alone."""
        return {"distill": self.distillation_loss}

    def run_student(self, images: tf.Tensor) -> Outputs:
        """Returns the deployed network's outputs, so that soft logits beside the method train what is deployed."""
        return self.reusing(images, training=True)

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted loss."""
        student_map, teacher_map = in_float32(batch.student["projected"]), in_float32(batch.teacher["post"][-1])
        return self.weight * squared_error("SimKD", *pool_to_smaller(student_map, teacher_map))


def _entries(student: keras.Model, teacher: keras.Model, distance: str) -> int:
    """Returns over how many entries of a map a distance sums, instead of taking the mean over all."""
    features, target = student.output["post"][-1], teacher.output["post"][-1]
    channels = target.shape[-1]
    positions = math.prod(smaller_size(features, target))
    return channels if distance == "position" else channels * positions


def _reusing(student: keras.Model, teacher: keras.Model, reduction: int) -> keras.Model:
    features, target = student.output["post"][-1], teacher.output["post"][-1]
    if target.shape[-1] != teacher.output["embedding"].shape[-1]:
        raise ConfigError(
            f"SimKD: the teacher's last feature point has {target.shape[-1]} channels and its embedding "
            f"{teacher.output['embedding'].shape[-1]}; the last of model.teacher.points must be the map that the "
            "classifier reads, averaged over its positions."
        )
    projected, embedding = projector(features, target, reduction)(features)
    outputs = {"logits": classifier_of(teacher)(embedding), "embedding": embedding, "projected": projected}
    return keras.Model(student.input, outputs, name=student.name)
