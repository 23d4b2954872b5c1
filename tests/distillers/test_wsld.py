import numpy as np
import pytest
from helpers.golden import LABELS, STUDENT_LOGITS, TEACHER_LOGITS
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import batch_of, build
from scipy.special import log_softmax, rel_entr, softmax

from kd_bench.distillers.soft_logits import soft_logits_loss
from kd_bench.distillers.wsld import image_weights, wsld_loss


def weights(students, teachers, labels):
    pairs = zip(students, teachers, labels, strict=True)
    return [1 - np.exp(-log_softmax(s)[y] / (log_softmax(t)[y] - 1e-7)) for s, t, y in pairs]


def reference(students, teachers, labels, temperature, of_images):
    """The equation, one image at a time, with weights that are constants."""
    pairs = zip(of_images, students, teachers, strict=True)
    return temperature**2 * np.mean(
        [weight * rel_entr(softmax(t / temperature), softmax(s / temperature)).sum() for weight, s, t in pairs]
    )


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_agrees_with_the_equation(temperature, generator):
    student, teacher = generator.normal(size=(2, 4, 5)) * 3
    labels = np.array([0, 4, 2, 2])
    fixed = weights(student, teacher, labels)
    assert_agrees(
        lambda s, t: wsld_loss(s, t, labels, temperature),
        lambda s, t: reference(s, t, labels, temperature, fixed),
        [student],
        [teacher],
    )


def test_the_weight_is_small_where_the_student_is_surer_and_nearly_one_where_the_teacher_is():
    sure, unsure = np.array([[9.0, 0.0]]), np.array([[0.5, 0.0]])
    assert float(image_weights(sure, unsure, [0])[0]) < 0.001
    assert float(image_weights(unsure, sure, [0])[0]) > 0.999
    assert float(image_weights(unsure, unsure, [0])[0]) == pytest.approx(1 - np.exp(-1))


def test_equal_weights_are_soft_logits():
    student, teacher = STUDENT_LOGITS[:1], TEACHER_LOGITS[:1]
    weight = float(image_weights(student, teacher, LABELS[:1])[0])
    assert float(wsld_loss(student, teacher, LABELS[:1], 2.0)) == pytest.approx(
        weight * float(soft_logits_loss(student, teacher, 2.0)), rel=1e-9
    )


def test_networks_that_are_sure_are_finite():
    right, wrong = (np.array([[far, -far], [far, 0.0]], np.float32) for far in (400, -400))
    labels = np.array([0, 0])
    pairs = [(right, right), (right, wrong), (wrong, right), (0 * right, right), (right, 0 * right)]
    assert_finite(lambda s, t: wsld_loss(s, t, labels), *(([own], [theirs]) for own, theirs in pairs))


def test_teacher_is_constant():
    assert_teacher_is_constant(wsld_loss, STUDENT_LOGITS, TEACHER_LOGITS, LABELS)


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="wsld_loss"):
        wsld_loss(STUDENT_LOGITS, TEACHER_LOGITS[:1], LABELS)


def test_the_term_is_the_weighted_loss_of_the_logits():
    distiller = build("wsld")
    batch = batch_of(distiller)
    student, teacher = (outputs["logits"].numpy() for outputs in (batch.student, batch.teacher))
    labels = batch.labels.numpy()
    expected = 2.25 * reference(student, teacher, labels, 4.0, weights(student, teacher, labels))
    assert float(distiller.distillation_loss(batch)) == pytest.approx(expected, rel=1e-4)
