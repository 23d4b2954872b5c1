"""Feature maps compressed to their top singular vectors: what KD-SVD, KD-EID and MHGD share.

Lee, Kim, Song, "Self-supervised Knowledge Distillation Using Singular Value Decomposition", ECCV 2018,
arXiv:1807.06819. A map is a matrix, positions by channels. Its top right singular vectors are directions in channel
space: teacher's and student's maps may differ in size, but not in channels.

TensorFlow's gradients of svd and eigh are infinite where singular values are equal. Here the gradient is that of
Ionescu et al. (ICCV 2015) from the full spectrum, bounded where it would be infinite.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import keras
import tensorflow as tf

from kd_bench.distillers.tensors import constant, in_float32
from kd_bench.errors import ConfigError

Decomposition = Literal["svd", "eid"]
"""How to decompose: the matrix itself, or the smaller of its two Gram matrices."""

SingularVectors = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Singular values, left and right singular vectors, in descending order."""

_SMALLEST_GAP = 1e-3
"""Of squared singular values, relative to the largest. For smaller gaps the gradient goes to zero, not to infinity."""
_TINY = 1e-12


def top_singular(matrices: tf.Tensor, n: int, decomposition: Decomposition = "svd") -> SingularVectors:
    """Returns the n largest singular values and their vectors; the signs make each right vector's sum at least 0.

    Only the right vectors have a gradient.

    Args:
        matrices: `[B,M,D]`.
        n: at most min(M, D).
        decomposition: `svd`, or `eid`: the eigenvectors of the smaller Gram matrix; the same values, faster.

    Returns:
        `[B,n]`, `[B,M,n]` and `[B,D,n]`.
    """
    matrices = in_float32(matrices)
    constant = tf.stop_gradient(matrices)
    # The vectors do not depend on the scale, but the rounding errors do.
    length = tf.maximum(tf.norm(constant, axis=[1, 2], keepdims=True), _TINY)
    unit = constant / length
    singular, left, right = _with_canonical_signs(_DECOMPOSE[decomposition](unit))

    @tf.custom_gradient
    def differentiable(_: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return right[..., :n], lambda upstream: _gradient(unit, singular, right, upstream) / length

    return singular[:, :n] * length[:, 0], left[..., :n], differentiable(matrices)


def _eid(matrices: tf.Tensor) -> SingularVectors:
    tall = matrices.shape[1] >= matrices.shape[2]
    gram = tf.matmul(matrices, matrices, transpose_a=tall, transpose_b=not tall)
    vectors = tf.reverse(tf.linalg.eigh(gram)[1], axis=[-1])
    images = tf.matmul(matrices, vectors, transpose_a=not tall)
    singular = tf.norm(images, axis=1)
    other_vectors = tf.math.divide_no_nan(images, singular[:, None])
    return (singular, other_vectors, vectors) if tall else (singular, vectors, other_vectors)


_DECOMPOSE: dict[str, Callable[[tf.Tensor], SingularVectors]] = {"svd": tf.linalg.svd, "eid": _eid}


def _with_canonical_signs(vectors: SingularVectors) -> SingularVectors:
    # LAPACK, Eigen and cuSOLVER return either sign; the relation of two points depends on the sign.
    singular, left, right = vectors
    signs = _signs(tf.reduce_sum(right, axis=1, keepdims=True))
    return singular, left * signs, right * signs


def _signs(values: tf.Tensor) -> tf.Tensor:
    return tf.where(values >= 0, tf.ones_like(values), -tf.ones_like(values))


def _gradient(matrices: tf.Tensor, singular: tf.Tensor, right: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """Returns dL/dX from dL/dV of the top vectors; a sample where that is not finite gets zero.

    With l_j the squared singular values, dv_j = (l_j - X^T X)^+ d(X^T X) v_j. The pseudo-inverse is 1 / l_j outside of
    the right vectors' span and 1 / (l_j - l_i) along v_i, with 1 / 0 = 0; that is, 1 / l_j plus, along v_i,
    1 / (l_j - l_i) - 1 / l_j. So the vectors may be all D or min(M, D), and those of l_i = 0 do not count.

    Args:
        matrices: X, `[B,M,D]`.
        singular: all, `[B,r]`.
        right: all, `[B,D,r]`.
        upstream: dL/dV, `[B,D,n]`.
    """
    top = right[..., : upstream.shape[-1]]
    squared = singular[:, :, None] ** 2
    top_squared = tf.linalg.matrix_transpose(squared[:, : upstream.shape[-1]])
    smallest = _SMALLEST_GAP * tf.maximum(squared[:, :1], _TINY)
    outside, along = _bounded_inverse(top_squared, smallest), _bounded_inverse(top_squared - squared, smallest)
    solved = outside * upstream + tf.matmul(right, (along - outside) * tf.matmul(right, upstream, transpose_a=True))
    gradient = tf.matmul(tf.matmul(matrices, solved), top, transpose_b=True)
    gradient += tf.matmul(tf.matmul(matrices, top), solved, transpose_b=True)
    finite = tf.reduce_all(tf.math.is_finite(gradient), axis=[1, 2], keepdims=True)
    return tf.where(finite, gradient, tf.zeros_like(gradient))


def _bounded_inverse(values: tf.Tensor, smallest: tf.Tensor) -> tf.Tensor:
    # 1/x down to the smallest |x|, from there linearly to 0.
    return values / tf.maximum(values**2, smallest**2)


def align_vectors(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns, for each vector of the teacher, the student's vector with the largest |cosine|, with the sign that fits.

    Several vectors of the teacher may get the same vector.

    Args:
        student: unit vectors, `[B,D,m]`.
        teacher: unit vectors, `[B,D,k]`.

    Returns:
        `[B,D,k]`; choice and sign get no gradient.
    """
    cosines = tf.matmul(tf.stop_gradient(student), tf.stop_gradient(teacher), transpose_a=True)
    chosen = tf.one_hot(tf.argmax(tf.abs(cosines), axis=1), student.shape[-1], axis=1, dtype=student.dtype)
    return tf.matmul(student, chosen * _signs(cosines))


def distilled_vectors(
    student_features: Sequence[tf.Tensor],
    teacher_features: Sequence[tf.Tensor],
    k: int = 1,
    extra: int = 3,
    decomposition: Decomposition = "svd",
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Returns the student's and the teacher's top vectors at each point, weighted by the teacher's singular values.

    The k weights form a unit vector: with k=1 the results are unit vectors.

    Args:
        student_features: `[B,H,W,D]` each.
        teacher_features: the same number, with the same channels and any size; get no gradient.
        k: vectors of the teacher.
        extra: how many more than k of the student's vectors are compared with the teacher's, if the map has so many.
        decomposition: of `top_singular`.

    Returns:
        `[B,D,k]` each.

    Raises:
        ConfigError: a map has fewer than k vectors.
        ValueError: channels differ.
    """
    students, teachers = [], []
    for student, teacher in zip(student_features, teacher_features, strict=True):
        if student.shape[-1] != teacher.shape[-1]:
            raise ValueError(f"distilled_vectors: the channels of {student.shape} and {teacher.shape} differ.")
        require_vectors("distilled_vectors", [student, teacher], k)
        values, target = top_vectors(constant(teacher), k, decomposition)
        _, candidates = top_vectors(
            student, min(k + extra, student.shape[1] * student.shape[2], student.shape[3]), decomposition
        )
        weights = tf.math.l2_normalize(values, axis=-1)[:, None]
        students.append(weights * align_vectors(candidates, target))
        teachers.append(weights * target)
    return students, teachers


def top_vectors(features: tf.Tensor, n: int, decomposition: Decomposition) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the n largest singular values, `[B,n]`, and right singular vectors, `[B,D,n]`, of maps `[B,H,W,D]`."""
    _, height, width, channels = features.shape
    values, _, vectors = top_singular(tf.reshape(features, [-1, height * width, channels]), n, decomposition)
    return values, vectors


def require_vectors(name: str, features: Sequence[keras.KerasTensor], k: int) -> None:
    """Checks that feature maps, symbolic or not, have k singular vectors.

    Raises:
        ConfigError: naming the shape of the first such map.
    """
    for _, height, width, channels in (feature.shape for feature in features):
        if k > min(height * width, channels):
            raise ConfigError(
                f"{name}: a map of {height}x{width} positions and {channels} channels has fewer than {k} singular "
                "vectors; lower method.k, or choose networks with larger maps (model.teacher.stem_stride, "
                "model.student.stem_stride)."
            )


def relation_loss(student_vectors: Sequence[tf.Tensor], teacher_vectors: Sequence[tf.Tensor], beta: float) -> tf.Tensor:
    """Returns the squared difference of the relations of consecutive points, a sum over all entries and samples.

    Args:
        student_vectors: `[B,D,k]` each, shallow to deep.
        teacher_vectors: `[B,D,k]` each.
        beta: of `rbf_less_one`.
    """
    losses = [
        tf.reduce_sum((rbf_less_one(*students, beta) - rbf_less_one(*teachers, beta)) ** 2)
        for students, teachers in zip(
            itertools.pairwise(student_vectors), itertools.pairwise(teacher_vectors), strict=True
        )
    ]
    return tf.add_n(losses)


def rbf_less_one(shallow: tf.Tensor, deep: tf.Tensor, beta: float) -> tf.Tensor:
    """Returns exp(-(deep_i - shallow_j)**2 / beta) - 1 for all pairs of entries.

    The 1 cancels in every difference. The entries are about 1e-3: next to 1 they would lose digits.

    Args:
        shallow: `[B,D1,k]`.
        deep: `[B,D2,k]`.
        beta: above 0.

    Returns:
        `[B,D2,D1,k]`.
    """
    return tf.math.expm1(-((deep[:, :, None] - shallow[:, None]) ** 2) / beta)
