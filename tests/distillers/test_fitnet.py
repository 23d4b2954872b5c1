import numpy as np
import pytest
from distillers import references
from distillers.checks import assert_agrees, assert_finite, assert_teacher_is_constant
from distillers.golden import STUDENT_LOGITS, STUDENT_MAP, TEACHER_LOGITS, TEACHER_MAP

from kd_bench.distillers.fitnet import hint_loss, soft_cross_entropy


def test_golden_value():
    assert float(hint_loss(STUDENT_MAP, TEACHER_MAP)) == pytest.approx(2.36981928317385, rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 3, 4)])
def test_agrees_with_the_equation(shape, generator):
    student, teacher = generator.normal(size=(2, *shape))
    assert_agrees(hint_loss, references.hint, [student], [teacher])


def test_soft_cross_entropy_is_the_divergence_plus_the_teachers_entropy():
    tau = 3.0
    log_target = references.log_softmax(TEACHER_LOGITS / tau)
    entropy = -(np.exp(log_target) * log_target).sum(axis=-1).mean()
    divergence = references.soft_logits(STUDENT_LOGITS, TEACHER_LOGITS, tau) / tau**2
    assert float(soft_cross_entropy(STUDENT_LOGITS, TEACHER_LOGITS, tau)) == pytest.approx(divergence + entropy)


def test_degenerate_maps_are_finite():
    zeros = np.zeros_like(STUDENT_MAP, np.float32)
    assert_finite(hint_loss, [zeros], [zeros])


def test_teacher_is_constant():
    assert_teacher_is_constant(hint_loss, STUDENT_MAP, TEACHER_MAP)


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="shape"):
        hint_loss(STUDENT_MAP, TEACHER_MAP[..., :1])
