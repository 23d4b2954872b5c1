import itertools

import numpy as np
import pytest
import tensorflow as tf
from distillers.checks import assert_agrees, assert_finite, assert_teacher_is_constant, value_and_gradients
from distillers.methods import build, small_batch

from kd_bench.distillers.base import Batch
from kd_bench.distillers.kd_svd import clip_to_task, kd_svd_loss
from kd_bench.errors import ConfigError


def vectors(features):
    """Returns singular values and right vectors (columns, of sums at least 0) of one sample's map `[H,W,D]`."""
    _, singular, right = np.linalg.svd(features.reshape(-1, features.shape[-1]), full_matrices=False)
    return singular, np.stack([row if row.sum() >= 0 else -row for row in right], axis=1)


def distilled(student, teacher, k, extra):
    """Returns the weighted vectors a^S, a^T of one sample at one point (section 2.2 of the specification)."""
    singular, target = vectors(teacher)
    candidates = vectors(student)[1][:, : k + extra]
    weights = singular[:k] / np.sqrt((singular[:k] ** 2).sum())
    own, theirs = [], []
    for j in range(k):
        cosines = candidates.T @ target[:, j]
        best = np.abs(cosines).argmax()
        own.append(weights[j] * np.sign(cosines[best]) * candidates[:, best])
        theirs.append(weights[j] * target[:, j])
    return np.array(own), np.array(theirs)


def relation(shallow, deep, beta):
    return np.exp(-((deep[:, None] - shallow[None, :]) ** 2) / beta)


def reference(students, teachers, k=1, extra=3, beta=8.0, last_sign=1):
    total = 0.0
    for sample in range(len(students[0])):
        points = [distilled(s[sample], t[sample], k, extra) for s, t in zip(students, teachers, strict=True)]
        points[-1] = tuple(last_sign * vectors for vectors in points[-1])
        for (own, theirs), (next_own, next_theirs) in itertools.pairwise(points):
            for j in range(k):
                difference = relation(own[j], next_own[j], beta) - relation(theirs[j], next_theirs[j], beta)
                total += (difference**2).sum()
    return total


def post_relu(generator, *shapes):
    return [np.maximum(generator.normal(size=shape), 0) + 0.05 * generator.random(shape) for shape in shapes]


def tall_and_wide(generator):
    """Returns maps with more and with fewer positions than channels; the student's of other sizes."""
    students = post_relu(generator, (2, 2, 3, 3), (2, 2, 2, 5))
    return students, post_relu(generator, (2, 4, 3, 3), (2, 1, 3, 5))


@pytest.mark.parametrize(("k", "extra", "beta"), [(1, 3, 8.0), (2, 1, 0.5)])
def test_agrees_with_the_equation(k, extra, beta, generator):
    students, teachers = tall_and_wide(generator)
    assert_agrees(
        lambda s, t: kd_svd_loss(s, t, k, extra, beta),
        lambda s, t: reference(s, t, k, extra, beta),
        [students],
        [teachers],
        xla=1e-5,
    )


def test_opposite_signs_agree_with_the_equation(generator):
    students, teachers = tall_and_wide(generator)
    assert_agrees(
        lambda s, t: kd_svd_loss(s, t, signs="opposite"),
        lambda s, t: reference(s, t, last_sign=-1),
        [students],
        [teachers],
        xla=1e-5,
    )


def test_opposite_signs_make_the_larger_loss_on_maps_without_negative_values(generator):
    students, teachers = (post_relu(generator, (8, 8, 8, 16), (8, 4, 4, 16), (8, 2, 2, 16)) for _ in range(2))
    equal, opposite = (float(kd_svd_loss(students, teachers, signs=signs)) for signs in ("equal", "opposite"))
    assert opposite > 1.5 * equal


def test_three_points_and_the_ways_to_decompose_agree(generator):
    shapes = [(4, 8, 8, 16), (4, 4, 4, 16), (4, 2, 2, 32)]
    students, teachers = (
        [maps.astype(np.float32) for maps in post_relu(generator, *shapes)] for _ in ("student", "teacher")
    )
    value, gradients = value_and_gradients(kd_svd_loss, [students], [teachers])
    assert value == pytest.approx(reference(students, teachers), rel=2e-4)
    other, others = value_and_gradients(kd_svd_loss, [students], [teachers, 1, 3, 8.0, "eid"])
    assert other == pytest.approx(value, rel=1e-4)
    for one, two in zip(gradients, others, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-4 * np.abs(one).max())


def test_equal_maps_have_no_loss_and_scales_do_not_matter(generator):
    students, teachers = tall_and_wide(generator)
    assert float(kd_svd_loss(teachers, teachers)) == pytest.approx(0, abs=1e-20)
    scaled = [3.0 * students[0], 0.2 * students[1]]
    assert float(kd_svd_loss(scaled, teachers)) == pytest.approx(float(kd_svd_loss(students, teachers)))


def test_is_a_sum_over_the_batch(generator):
    students, teachers = tall_and_wide(generator)
    twice = [[np.concatenate([maps, maps]) for maps in side] for side in (students, teachers)]
    assert float(kd_svd_loss(*twice)) == pytest.approx(2 * float(kd_svd_loss(students, teachers)))


def degenerate_pairs(generator):
    """Returns students' and teachers' maps, a batch of pairs of each."""
    students, teachers = [], []
    for height, width, channels in ((3, 3, 4), (2, 2, 6)):
        first, second = post_relu(generator, *2 * [(height, width, channels)])
        zeros, ones = 0 * first, 0 * first + 1
        identity = np.eye(height * width, channels).reshape(first.shape)
        pairs = [(zeros, first), (first, zeros), (zeros, zeros), (first, first), (ones, ones), (identity, second)]
        students.append(np.stack([own for own, _ in pairs]).astype(np.float32))
        teachers.append(np.stack([theirs for _, theirs in pairs]).astype(np.float32))
    return students, teachers


def test_degenerate_maps_are_finite(generator):
    students, teachers = degenerate_pairs(generator)
    assert_finite(kd_svd_loss, [students], [teachers])


def test_teacher_is_constant(generator):
    assert_teacher_is_constant(kd_svd_loss, *tall_and_wide(generator))


def test_maps_without_k_vectors_are_refused_when_built():
    with pytest.raises(ConfigError, match=r"KD-SVD: a map of 2x2 positions and .* fewer than 5"):
        build("kd_svd", ["method.k=5"])


@pytest.mark.parametrize("method", ["kd_svd", "kd_eid", "mhgd"])
def test_connected_maps_have_no_negative_values_as_the_teachers_have_none(method):
    images, labels = small_batch()
    for ending, negative in (("relu", False), ("linear", True)):
        distiller = build(method, [f"method.connector={ending}"])
        batch = Batch(distiller, images, labels, tf.constant(0.0), tf.constant(0.0))
        assert all((features.numpy() < 0).any() == negative for features in distiller.student_maps(batch))


def test_clip_to_task_is_here_too():
    assert clip_to_task([None], [None]) == [None]
