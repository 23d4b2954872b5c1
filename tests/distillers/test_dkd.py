import numpy as np
import pytest
from helpers.golden import LABELS, STUDENT_LOGITS, TEACHER_LOGITS
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant, value_and_gradients
from helpers.methods import batch_of, build

from kd_bench.distillers.dkd import dkd_loss
from kd_bench.distillers.soft_logits import soft_logits_loss


def probabilities(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def divergence(target, other):
    return sum(p * np.log(p / q) for p, q in zip(target, other, strict=True))


def reference(students, teachers, labels, alpha=1.0, beta=8.0, temperature=4.0):
    """The equation, with probabilities (equations 2 to 7 of the paper)."""
    total = 0.0
    for student, teacher, label in zip(students, teachers, labels, strict=True):
        own, theirs = probabilities(student / temperature), probabilities(teacher / temperature)
        (own_label, own_others), (label_, others) = ((p[label], np.delete(p, label)) for p in (own, theirs))
        of_label = divergence([label_, others.sum()], [own_label, own_others.sum()])
        among_others = divergence(others / others.sum(), own_others / own_others.sum())
        total += temperature**2 * (alpha * of_label + beta * among_others)
    return total / len(students)


@pytest.mark.parametrize(("alpha", "beta", "temperature"), [(1.0, 8.0, 4.0), (0.0, 1.0, 1.0), (3.0, 0.0, 2.0)])
def test_agrees_with_the_equation(alpha, beta, temperature, generator):
    student, teacher = generator.normal(size=(2, 4, 5)) * 3
    labels = np.array([0, 4, 2, 2])
    assert_agrees(
        lambda s, t: dkd_loss(s, t, labels, alpha, beta, temperature),
        lambda s, t: reference(s, t, labels, alpha, beta, temperature),
        [student],
        [teacher],
    )


def test_with_the_teacher_s_weight_of_the_others_it_is_soft_logits():
    """Section 3 of the paper: KD is the label's part, plus the others' part by 1 - p_y of the teacher."""
    for row in range(4):
        student, teacher = STUDENT_LOGITS[row : row + 1], TEACHER_LOGITS[row : row + 1]
        others = 1 - probabilities(teacher[0] / 4)[row]
        assert float(dkd_loss(student, teacher, [row], 1.0, others, 4.0)) == pytest.approx(
            float(soft_logits_loss(student, teacher, 4.0)), rel=1e-9
        )


def test_two_classes_have_no_others(generator):
    student, teacher = generator.normal(size=(2, 3, 2))
    assert float(dkd_loss(student, teacher, [0, 1, 1], 0.0, 8.0)) == 0


def test_networks_that_are_sure_are_finite():
    """In every combination of sure and wrong: the authors' code has the logarithm of 0 there."""
    right, wrong = (np.array([[far, -far, 0.0], [far, 0.0, -far]], np.float32) for far in (400, -400))
    labels = np.array([0, 0])
    pairs = [(right, right), (right, wrong), (wrong, right), (0 * right, right), (right, 0 * right)]
    assert_finite(lambda s, t: dkd_loss(s, t, labels, temperature=1.0), *(([own], [peer]) for own, peer in pairs))
    value, (gradient,) = value_and_gradients(lambda s: dkd_loss(s, right, labels, temperature=1.0), [right], [])
    assert value == 0
    assert not gradient.any()
    assert float(dkd_loss(wrong, right, labels, 1.0, 0.0, 1.0)) == pytest.approx(800, rel=1e-5)


def test_teacher_is_constant():
    assert_teacher_is_constant(dkd_loss, STUDENT_LOGITS, TEACHER_LOGITS, LABELS)


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="dkd_loss"):
        dkd_loss(STUDENT_LOGITS, TEACHER_LOGITS[:1], LABELS)


def test_the_weight_rises_from_a_twentieth_to_one():
    distiller = build("dkd", ["method.warmup_share=1/2"])

    def loss(step):
        return float(distiller.distillation_loss(batch_of(distiller, step, 100)))

    whole = loss(50)
    assert whole > 0
    assert loss(0) == pytest.approx(whole / 20, rel=1e-5)
    assert loss(26) == pytest.approx(whole * 11 / 20, rel=1e-5)
    assert loss(99) == pytest.approx(whole, rel=1e-5)
