"""What fits the parts of two networks together: connectors, sizes of maps, and the classifier behind an embedding.

Connectors are layers between a student's feature map and a teacher's of another shape. They are never part of the saved
student.
"""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from kd_bench.errors import ConfigError
from kd_bench.layers import batch_norm, convolution

Ending = Literal["linear", "relu"]
"""The last layer of a connector: batch norm, or a ReLU after it, for teacher's maps without negative values."""


def connector(
    student: keras.KerasTensor,
    teacher: keras.KerasTensor,
    ending: Ending = "linear",
    initializer: str | keras.Initializer = "he_normal",
) -> keras.Model:
    """Returns a model from the student's map to the teacher's channels: 1x1 convolution without bias, batch norm.

    Args:
        student: the student's symbolic feature map, `[B,H,W,C_s]`.
        teacher: the teacher's, `[B,H,W,C_t]`.
        ending: whether a ReLU follows.
        initializer: of the convolution's kernel.
    """
    features = keras.Input(student.shape[1:], dtype=student.dtype)
    projected = batch_norm()(convolution(teacher.shape[-1], 1, initializer=initializer)(features))
    return keras.Model(features, keras.layers.ReLU()(projected) if ending == "relu" else projected)


def connectors(
    students: Sequence[keras.KerasTensor],
    teachers: Sequence[keras.KerasTensor],
    *,
    always: bool = False,
    **options: Any,
) -> keras.Model:
    """Returns one model from all of the student's maps to maps with the teacher's channels.

    Args:
        students: the student's symbolic feature maps, `[B,H,W,C_s]` each.
        teachers: the teacher's, `[B,H,W,C_t]` each.
        always: also where channels are equal; by default such a map stays as it is.
        **options: of `connector`.
    """
    inputs = [keras.Input(student.shape[1:], dtype=student.dtype) for student in students]
    outputs = [
        connector(student, teacher, **options)(features)
        if always or student.shape[-1] != teacher.shape[-1]
        else keras.layers.Identity()(features)
        for features, student, teacher in zip(inputs, students, teachers, strict=True)
    ]
    return keras.Model(inputs, outputs)


def linear_embedding(embedding: keras.KerasTensor, size: int) -> keras.Model:
    """Returns a model from an embedding, `[B,D]`, to one of another size, `[B,size]`: a dense layer with bias.

    Args:
        embedding: symbolic.
        size: of the new embedding.
    """
    features = keras.Input(embedding.shape[1:], dtype=embedding.dtype)
    return keras.Model(features, keras.layers.Dense(size)(features))


def classifier_of(network: keras.Model) -> keras.Model:
    """Returns the part of a network from its embedding, `[B,D]`, to its logits, `[B,K]`. It shares the layers.

    Raises:
        ConfigError: the logits do not depend on the embedding alone.
    """
    try:
        return keras.Model(network.output["embedding"], network.output["logits"], name="classifier")
    except ValueError as error:
        raise ConfigError(
            f"model: {network.name} has no classifier that reads its embedding alone; name as `embedding` the layer "
            "that the classifier reads (docs/own_networks.md)."
        ) from error


def require_same_sizes(name: str, students: Sequence[keras.KerasTensor], teachers: Sequence[keras.KerasTensor]) -> None:
    """Checks that a loss can compare maps position by position.

    Args:
        name: the method's, for the message.
        students: `[B,H,W,C_s]` each.
        teachers: `[B,H,W,C_t]` each.

    Raises:
        ConfigError: height or width of a pair differ.
    """
    for student, teacher in zip(students, teachers, strict=True):
        if student.shape[1:3] != teacher.shape[1:3]:
            raise ConfigError(
                f"{name}: the student's map {student.shape[1:]} and the teacher's {teacher.shape[1:]} differ in size; "
                "choose other points, or networks whose strides agree (model.teacher.stem_stride, "
                "model.student.stem_stride)."
            )


def require_poolable(students: Sequence[keras.KerasTensor], teachers: Sequence[keras.KerasTensor]) -> None:
    """Checks that `pool_to_smaller` can bring the maps of each pair to one size.

    Args:
        students: `[B,H,W,C_s]` each.
        teachers: `[B,H',W',C_t]` each.

    Raises:
        ConfigError: of a pair, one size is not a multiple of the other.
    """
    for pair in zip(students, teachers, strict=True):
        smaller_size(*pair)


def smaller_size(first: keras.KerasTensor, second: keras.KerasTensor) -> tuple[int, int]:
    """Returns the height and width to which `pool_to_smaller` brings two maps.

    Args:
        first: `[B,H,W,C]`, symbolic or not.
        second: `[B,H',W',C']`.

    Raises:
        ConfigError: one size is not a multiple of the other.
    """
    smaller, larger = sorted((first, second), key=lambda features: features.shape[1])
    pooling_window(larger, smaller)
    return tuple(smaller.shape[1:3])


def pool_to_smaller(first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Average-pools the larger of two maps to the size of the smaller.

    Args:
        first: `[B,H,W,C]`.
        second: `[B,H',W',C']`.

    Raises:
        ConfigError: one size is not a multiple of the other.
    """
    if first.shape[1] >= second.shape[1]:
        return pool_to(first, second, tf.nn.avg_pool2d), second
    return first, pool_to(second, first, tf.nn.avg_pool2d)


def pool_to(larger: tf.Tensor, smaller: tf.Tensor, pool: object) -> tf.Tensor:
    """Pools a map to another's size, with windows that do not overlap and cover the whole map.

    Args:
        larger: `[B,H,W,C]`.
        smaller: `[B,h,w,c]`, where h divides H and w divides W.
        pool: `tf.nn.avg_pool2d` or `tf.nn.max_pool2d`.

    Raises:
        ConfigError: one size is not a multiple of the other.
    """
    window = pooling_window(larger, smaller)
    return larger if window == (1, 1) else pool(larger, window, window, "VALID")  # type: ignore[operator]


def pooling_window(larger: tf.Tensor, smaller: tf.Tensor) -> tuple[int, int]:
    """Returns the height and width of the window with which `pool_to` pools.

    Args:
        larger: `[B,H,W,C]`, symbolic or not.
        smaller: `[B,h,w,c]`.

    Raises:
        ConfigError: one size is not a multiple of the other.
    """
    window = (larger.shape[1] // smaller.shape[1], larger.shape[2] // smaller.shape[2])
    if (window[0] * smaller.shape[1], window[1] * smaller.shape[2]) != tuple(larger.shape[1:3]):
        sizes = f"{larger.shape[1]}x{larger.shape[2]} and {smaller.shape[1]}x{smaller.shape[2]}"
        raise ConfigError(
            f"feature maps of {sizes} cannot be matched: one size must be a multiple of the other. "
            "Choose other points, or networks whose strides agree (model.teacher.stem_stride, "
            "model.student.stem_stride)."
        )
    return window
