from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers import references
from helpers.golden import STUDENT_LOGITS, STUDENT_MAP, TEACHER_LOGITS, TEACHER_MAP
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import build, one_step

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


def test_the_soft_targets_of_stage_2_lose_weight_linearly():
    distiller = build("fitnet", ["method.stage2=kd"])
    stage = distiller.stages()[-1]
    assert list(stage.losses) == ["task", "distill"]
    logs = one_step(distiller, stage)
    assert logs["distill"] > 0
    seen = []
    for progress in (0.0, 0.5, 1.0):
        outputs = {"logits": tf.constant(STUDENT_LOGITS)}, {"logits": tf.constant(TEACHER_LOGITS)}
        batch = SimpleNamespace(student=outputs[0], teacher=outputs[1], progress=progress)
        seen.append(float(distiller.distillation_loss(batch)))
    whole = float(soft_cross_entropy(STUDENT_LOGITS, TEACHER_LOGITS, 3.0))
    assert seen == pytest.approx([4 * whole, 2.5 * whole, whole])


def test_degenerate_maps_are_finite():
    zeros = np.zeros_like(STUDENT_MAP, np.float32)
    assert_finite(hint_loss, ([zeros], [zeros]))


def test_teacher_is_constant():
    assert_teacher_is_constant(hint_loss, STUDENT_MAP, TEACHER_MAP)


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="shape"):
        hint_loss(STUDENT_MAP, TEACHER_MAP[..., :1])
