"""What lies between a student's feature map and a teacher's of another shape; never part of the exported student."""

import keras
import tensorflow as tf

from kd_bench.errors import ConfigError
from kd_bench.layers import batch_norm, convolution


def linear_connector(student: keras.KerasTensor, teacher: keras.KerasTensor) -> keras.Model:
    """Returns a model from the student's map to the teacher's channels: 1x1 convolution without bias, batch norm.

    Args:
        student: the student's symbolic feature map, `[B,H,W,C_s]`.
        teacher: the teacher's, `[B,H,W,C_t]`.
    """
    features = keras.Input(student.shape[1:], dtype=student.dtype)
    return keras.Model(features, batch_norm()(convolution(teacher.shape[-1], 1)(features)))


def pool_to_smaller(first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Average-pools the larger of two maps to the size of the smaller.

    Args:
        first: `[B,H,W,C]`.
        second: `[B,H',W',C']`.

    Raises:
        ConfigError: one size is no multiple of the other.
    """
    if first.shape[1] >= second.shape[1]:
        return pool_to(first, second, tf.nn.avg_pool2d), second
    return first, pool_to(second, first, tf.nn.avg_pool2d)


def pool_to(larger: tf.Tensor, smaller: tf.Tensor, pool: object) -> tf.Tensor:
    """Pools a map to another's size, with windows that neither overlap nor leave anything out.

    Args:
        larger: `[B,H,W,C]`.
        smaller: `[B,h,w,c]`, where h divides H and w divides W.
        pool: `tf.nn.avg_pool2d` or `tf.nn.max_pool2d`.

    Raises:
        ConfigError: one size is no multiple of the other.
    """
    window = (larger.shape[1] // smaller.shape[1], larger.shape[2] // smaller.shape[2])
    if (window[0] * smaller.shape[1], window[1] * smaller.shape[2]) != tuple(larger.shape[1:3]):
        sizes = f"{larger.shape[1]}x{larger.shape[2]} and {smaller.shape[1]}x{smaller.shape[2]}"
        raise ConfigError(
            f"feature maps of {sizes} cannot be matched: one size must be a multiple of the other. "
            "Choose networks whose strides agree (model.teacher.stem_stride, model.student.stem_stride)."
        )
    return larger if window == (1, 1) else pool(larger, window, window, "VALID")  # type: ignore[operator]
