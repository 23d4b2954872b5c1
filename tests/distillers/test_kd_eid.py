import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant, value_and_gradients
from helpers.methods import build, one_step
from helpers.vectors import degenerate_pairs, post_relu, reference, tall_and_wide

from kd_bench.distillers.kd_eid import kd_eid_loss
from kd_bench.distillers.kd_svd import kd_svd_loss
from kd_bench.errors import ConfigError


# By XLA once: its decompositions take seconds to compile, and test_singular_vectors.py has them for several vectors.
@pytest.mark.parametrize(("k", "extra", "beta", "xla"), [(1, 3, 8.0, 1e-5), (2, 1, 0.5, None)])
def test_agrees_with_the_equation(k, extra, beta, xla, generator):
    students, teachers = tall_and_wide(generator)
    assert_agrees(
        lambda s, t: kd_eid_loss(s, t, k, extra, beta),
        lambda s, t: reference(s, t, k, extra, beta),
        [students],
        [teachers],
        xla=xla,
    )


@pytest.mark.parametrize("ratio", [4, 1])
def test_is_kd_svd_in_value_and_gradient(ratio, generator):
    shapes = [(4, 8, 8, 64 // ratio), (4, 4, 4, 16), (4, 2, 2, 32)]
    students, teachers = (
        [maps.astype(np.float32) for maps in post_relu(generator, *shapes)] for _ in ("student", "teacher")
    )
    value, gradients = value_and_gradients(kd_eid_loss, [students], [teachers])
    other, others = value_and_gradients(kd_svd_loss, [students], [teachers])
    assert value == pytest.approx(other, rel=1e-4)
    for one, two in zip(gradients, others, strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, two, atol=2e-4 * np.abs(one).max())


def test_a_step_is_kd_svds():
    eid, svd = (build(method) for method in ("kd_eid", "kd_svd"))
    logs, others = (one_step(distiller, distiller.stages()[0]) for distiller in (eid, svd))
    assert logs == pytest.approx(others, rel=1e-4)
    for one, two in zip(eid.student.variables, svd.student.variables, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4, err_msg=one.path)


def test_degenerate_maps_are_finite(generator):
    students, teachers = degenerate_pairs(generator)
    assert_finite(kd_eid_loss, ([students], [teachers]))


def test_teacher_is_constant(generator):
    assert_teacher_is_constant(kd_eid_loss, *tall_and_wide(generator))


def test_maps_without_k_vectors_are_refused_when_built():
    with pytest.raises(ConfigError, match=r"KD-EID: a map of 2x2 positions and .* fewer than 5"):
        build("kd_eid", ["method.k=5"])
