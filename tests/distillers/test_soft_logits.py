from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers import references
from helpers.golden import LABELS, STUDENT_LOGITS, TEACHER_LOGITS
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import build

from kd_bench.distillers.base import cross_entropy
from kd_bench.distillers.soft_logits import soft_logits_loss, standardized


def test_golden_values():
    assert float(cross_entropy(tf.constant(LABELS), STUDENT_LOGITS)) == pytest.approx(1.8668896950979583, rel=1e-12)
    assert float(soft_logits_loss(STUDENT_LOGITS, TEACHER_LOGITS, 4.0)) == pytest.approx(0.17487362368833, rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 2), (4, 5), (3, 10)])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_agrees_with_the_equation(shape, temperature, generator):
    student, teacher = generator.normal(size=(2, *shape)) * 3
    assert_agrees(
        lambda s, t: soft_logits_loss(s, t, temperature),
        lambda s, t: references.soft_logits(s, t, temperature),
        [student],
        [teacher],
    )


def test_logits_of_400_stay_finite_and_exact():
    student, teacher = np.array([[400.0, -400.0]]), np.array([[-400.0, 400.0]])
    assert_finite(soft_logits_loss, ([student.astype(np.float32)], [teacher.astype(np.float32), 1.0]))
    assert float(soft_logits_loss(student, teacher, 1.0)) == pytest.approx(800.0)


def test_the_gradient_keeps_its_scale_at_high_temperature(generator):
    student, teacher = generator.normal(size=(2, 8, 10))
    loss = [references.soft_logits(student, teacher, temperature) for temperature in (50.0, 100.0)]
    assert float(soft_logits_loss(student, teacher, 100.0)) == pytest.approx(loss[1])
    assert loss[0] == pytest.approx(loss[1], rel=0.05)


def test_teacher_is_constant():
    assert_teacher_is_constant(soft_logits_loss, STUDENT_LOGITS, TEACHER_LOGITS)


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="shape"):
        soft_logits_loss(STUDENT_LOGITS, TEACHER_LOGITS[:1])
    with pytest.raises(ValueError, match="empty"):
        soft_logits_loss(STUDENT_LOGITS[:0], TEACHER_LOGITS[:0])


def z_scores(logits):
    return np.array([(sample - np.mean(sample)) / np.std(sample) for sample in logits])


def test_standardized_logits_agree_with_the_equation(generator):
    student, teacher = generator.normal(size=(2, 4, 5)) * 3
    assert_agrees(
        lambda s, t: soft_logits_loss(standardized(s), standardized(t), 2.0),
        lambda s, t: references.soft_logits(z_scores(s), z_scores(t), 2.0),
        [student],
        [teacher],
    )


def test_equal_logits_have_the_score_zero_and_a_bounded_gradient():
    equal, others = np.full((1, 3), 7, np.float32), np.array([[400, -400, 0]], np.float32)
    np.testing.assert_array_equal(standardized(equal), np.zeros((1, 3)))
    cases = [([own], [theirs]) for own in (equal, others) for theirs in (equal, others)]
    assert_finite(lambda s, t: soft_logits_loss(standardized(s), standardized(t)), *cases)


@pytest.mark.parametrize("method", ["soft_logits", "ctkd", "dkd"])
def test_a_method_that_standardizes_ignores_shift_and_scale(method):
    def losses(standardize):
        distiller = build(method, [f"method.standardize={standardize}"])
        for scale, shift in ((1, 0), (3, 2)):
            student, teacher = (
                {"logits": tf.constant(scale * logits + shift, tf.float32)}
                for logits in (STUDENT_LOGITS, TEACHER_LOGITS)
            )
            batch = SimpleNamespace(student=student, teacher=teacher, labels=LABELS, step=90, steps=100)
            yield float(distiller.distillation_loss(batch))

    one, other = losses("true")
    assert one > 0
    assert one == pytest.approx(other, rel=1e-6)
    one, other = losses("false")
    assert one != pytest.approx(other, rel=0.1)
