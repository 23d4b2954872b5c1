import itertools

import numpy as np
import pytest
import tensorflow as tf
from helpers.losses import assert_agrees, assert_finite, value_and_gradients

from kd_bench.distillers.singular_vectors import align_vectors, distilled_vectors, rbf_less_one, top_singular
from kd_bench.errors import ConfigError

METHODS = ["svd", "eid"]
SHAPES = [(2, 6, 3), (2, 3, 6), (2, 4, 4), (1, 1, 3), (1, 3, 1)]


def positive(generator, shape):
    return np.maximum(generator.normal(size=shape), 0) + 0.01 * generator.random(shape)


def reference(matrices, n):
    """Returns s, U, V of the top n, V's columns with a sum of at least 0."""
    found = []
    for matrix in matrices:
        left, singular, right = np.linalg.svd(matrix, full_matrices=False)
        for j in range(len(singular)):
            if right[j].sum() < 0:
                right[j], left[:, j] = -right[j], -left[:, j]
        found.append((singular[:n], left[:, :n], right[:n].T))
    return [np.stack(part) for part in zip(*found, strict=True)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_vectors_are_numpys(method, shape, generator):
    matrices = positive(generator, shape)
    for n in range(1, min(shape[1:]) + 1):
        for own, expected in zip(top_singular(matrices, n, method), reference(matrices, n), strict=True):
            np.testing.assert_allclose(own, expected, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("shape", "n", "xla"),
    [((2, 6, 3), 1, True), ((2, 6, 3), 3, False), ((2, 3, 6), 1, False), ((2, 3, 6), 2, True), ((1, 4, 4), 2, False)],
)
def test_the_gradient_is_that_of_the_full_spectrum(method, shape, n, xla, generator):
    matrices, weights = positive(generator, shape), generator.normal(size=(shape[0], shape[2], n))
    assert_agrees(
        lambda x, w: tf.reduce_sum(top_singular(x, n, method)[2] * w),
        lambda x, w: (reference(x, n)[2] * w).sum(),
        [matrices],
        [weights],
        xla=xla,
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_scale_does_not_matter(method, generator):
    matrices, weights = positive(generator, (2, 5, 4)), generator.normal(size=(2, 4, 2))

    def loss(x):
        return tf.reduce_sum(top_singular(x, 2, method)[2] * weights.astype(x.dtype.as_numpy_dtype))

    expected, (gradient,) = value_and_gradients(loss, [matrices.astype(np.float32)], [])
    for scale in (1e-6, 1e6):
        value, (scaled,) = value_and_gradients(loss, [(scale * matrices).astype(np.float32)], [])
        assert value == pytest.approx(expected, rel=1e-4)
        np.testing.assert_allclose(scale * scaled, gradient, atol=1e-4 * np.abs(gradient).max())


def degenerate(rows, columns):
    """Returns a batch of matrices that have no unique vectors, or hardly any values."""
    one = np.arange(1.0, rows * columns + 1).reshape(rows, columns)
    dead_channel, one_position = one * (np.arange(columns) > 0), one * (np.arange(rows) == 0)[:, None]
    rank_one = np.outer(np.arange(1.0, rows + 1), np.arange(1.0, columns + 1))
    equal_values, pairs = np.eye(rows, columns), np.eye(rows, columns) * (1 + np.arange(columns) // 2)
    several = [0 * one, 0 * one + 3, rank_one, equal_values, pairs, dead_channel, one_position, 1e-30 * one, 1e18 * one]
    return np.stack(several).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_degenerate_matrices_are_finite(method, shape):
    matrices = degenerate(*shape)
    weights = np.sin(np.arange(len(matrices) * shape[1] * 4.0)).reshape(len(matrices), shape[1], 4)
    assert_finite(
        lambda x, w: tf.reduce_sum(top_singular(x, 4, method)[2] * w), ([matrices], [weights.astype(np.float32)])
    )


def test_no_gradient_where_vectors_are_arbitrary():
    for matrices in (np.zeros((1, 4, 3)), np.eye(4, 3)[None]):
        _, (gradient,) = value_and_gradients(lambda x: tf.reduce_sum(top_singular(x, 1)[2] ** 3), [matrices], [])
        assert np.abs(gradient).max() < 2


def test_a_sample_without_finite_gradient_spares_the_others(generator):
    matrices, upstream = positive(generator, (2, 4, 3)), np.ones((2, 3, 1))
    upstream[0] = np.nan
    _, (gradient,) = value_and_gradients(lambda x: tf.reduce_sum(top_singular(x, 1)[2] * upstream), [matrices], [])
    assert (gradient[0] == 0).all()
    assert np.abs(gradient[1]).max() > 0


def test_alignment_chooses_by_angle_and_turns(generator):
    student = np.linalg.qr(generator.normal(size=(3, 5, 4)))[0]
    teacher = np.linalg.qr(generator.normal(size=(3, 5, 2)))[0]
    aligned = align_vectors(student, teacher).numpy()
    for sample, k in itertools.product(range(3), range(2)):
        cosines = [student[sample, :, i] @ teacher[sample, :, k] for i in range(4)]
        best = int(np.argmax(np.abs(cosines)))
        np.testing.assert_allclose(aligned[sample, :, k], np.sign(cosines[best]) * student[sample, :, best])


def test_a_single_vector_has_no_weight_and_several_the_singular_values(generator):
    maps = positive(generator, (2, 3, 3, 4))
    (student,), (teacher,) = distilled_vectors([2 * maps], [maps], k=1)
    np.testing.assert_allclose(np.linalg.norm(teacher, axis=1), 1)
    np.testing.assert_allclose(student, teacher)
    (_,), (teacher,) = distilled_vectors([maps], [maps], k=3)
    values = reference(maps.reshape(2, 9, 4), 3)[0]
    expected = values / np.linalg.norm(values, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(teacher, axis=1), expected)


def test_relation_is_the_gaussian_less_one():
    shallow, deep = np.array([[[0.0], [1.0]]]), np.array([[[2.0], [-1.0], [1.0]]])
    expected = np.exp(-np.array([[4.0, 1.0], [1.0, 4.0], [1.0, 0.0]]) / 8) - 1
    np.testing.assert_allclose(rbf_less_one(shallow, deep, 8.0)[0, :, :, 0], expected)


def test_maps_without_enough_vectors_and_unequal_channels_are_refused():
    maps = np.ones((2, 1, 2, 4))
    with pytest.raises(ConfigError, match="1x2 positions and 4 channels"):
        distilled_vectors([maps], [maps], k=3)
    with pytest.raises(ValueError, match="channels"):
        distilled_vectors([maps], [maps[..., :3]])
