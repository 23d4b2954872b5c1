from functools import partial

import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant, value_and_gradients
from helpers.methods import batch_of, build
from helpers.vectors import degenerate_pairs, post_relu, reference, tall_and_wide

from kd_bench.distillers.kd_svd import kd_svd_loss
from kd_bench.errors import ConfigError


# By XLA once: its decompositions take seconds to compile, and test_singular_vectors.py has them for several vectors.
@pytest.mark.parametrize("decomposition", ["svd", "eid"])
@pytest.mark.parametrize(("k", "extra", "beta", "xla"), [(1, 3, 8.0, True), (2, 1, 0.5, False)])
def test_agrees_with_the_equation(k, extra, beta, xla, decomposition, generator):
    students, teachers = tall_and_wide(generator)
    assert_agrees(
        lambda s, t: kd_svd_loss(s, t, k, extra, beta, decomposition),
        lambda s, t: reference(s, t, k, extra, beta),
        [students],
        [teachers],
        xla=xla,
    )


def test_opposite_signs_agree_with_the_equation(generator):
    students, teachers = tall_and_wide(generator)
    assert_agrees(
        lambda s, t: kd_svd_loss(s, t, signs="opposite"),
        lambda s, t: reference(s, t, last_sign=-1),
        [students],
        [teachers],
        xla=False,
    )


def test_opposite_signs_make_the_larger_loss_on_maps_without_negative_values(generator):
    students, teachers = (post_relu(generator, (8, 8, 8, 16), (8, 4, 4, 16), (8, 2, 2, 16)) for _ in range(2))
    equal, opposite = (float(kd_svd_loss(students, teachers, signs=signs)) for signs in ("equal", "opposite"))
    assert opposite > 1.5 * equal


@pytest.mark.parametrize("channels", [16, 64])
def test_three_points_and_the_ways_to_decompose_agree(channels, generator):
    shapes = [(4, 8, 8, channels), (4, 4, 4, 16), (4, 2, 2, 32)]
    students, teachers = (
        [maps.astype(np.float32) for maps in post_relu(generator, *shapes)] for _ in ("student", "teacher")
    )
    value, gradients = value_and_gradients(kd_svd_loss, [students], [teachers])
    assert value == pytest.approx(reference(students, teachers), rel=2e-4)
    other, others = value_and_gradients(kd_svd_loss, [students], [teachers, 1, 3, 8.0, "eid"])
    assert other == pytest.approx(value, rel=1e-4)
    for one, two in zip(gradients, others, strict=True):
        assert np.abs(one).max() > 0
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


@pytest.mark.parametrize("decomposition", ["svd", "eid"])
def test_degenerate_maps_are_finite(decomposition, generator):
    students, teachers = degenerate_pairs(generator)
    assert_finite(partial(kd_svd_loss, decomposition=decomposition), ([students], [teachers]))


@pytest.mark.parametrize("decomposition", ["svd", "eid"])
def test_teacher_is_constant(decomposition, generator):
    assert_teacher_is_constant(partial(kd_svd_loss, decomposition=decomposition), *tall_and_wide(generator))


@pytest.mark.parametrize("decomposition", ["svd", "eid"])
def test_maps_without_k_vectors_are_refused_when_built(decomposition):
    with pytest.raises(ConfigError, match=rf"KD-{decomposition.upper()}: a map of 2x2 positions and .* fewer than 5"):
        build(f"kd_{decomposition}", ["method.k=5"])


@pytest.mark.parametrize("method", ["kd_svd", "kd_eid", "mhgd"])
def test_connected_maps_have_no_negative_values_as_the_teachers_have_none(method):
    for ending, negative in (("relu", False), ("linear", True)):
        distiller = build(method, [f"method.connector={ending}"])
        maps = distiller.student_maps(batch_of(distiller))
        assert all((features.numpy() < 0).any() == negative for features in maps)
