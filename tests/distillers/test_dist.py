import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant, value_and_gradients
from helpers.methods import batch_of, build

from kd_bench.distillers.dist import inter_class_loss, intra_class_loss

LOSSES = [inter_class_loss, intra_class_loss]


def both(student, teacher):
    return inter_class_loss(student, teacher) + intra_class_loss(student, teacher)


def probabilities(logits, temperature):
    powers = np.exp(logits / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def pearson(x, y):
    """The covariance over the product of the standard deviations, one entry at a time."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / np.sqrt(sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y))


def inter_reference(student, teacher, temperature=4.0):
    pairs = zip(probabilities(student, temperature), probabilities(teacher, temperature), strict=True)
    return temperature**2 * np.mean([1 - pearson(own, theirs) for own, theirs in pairs])


def intra_reference(student, teacher, temperature=4.0):
    pairs = zip(probabilities(student, temperature).T, probabilities(teacher, temperature).T, strict=True)
    return temperature**2 * np.mean([1 - pearson(own, theirs) for own, theirs in pairs])


REFERENCES = [(inter_class_loss, inter_reference), (intra_class_loss, intra_reference)]


@pytest.mark.parametrize(("shape", "temperature"), [((3, 5), 1.0), ((6, 3), 4.0)])
@pytest.mark.parametrize(("loss", "reference"), REFERENCES)
def test_agrees_with_the_equation(loss, reference, shape, temperature, generator):
    student, teacher = generator.normal(size=(2, *shape)) * 3
    assert_agrees(lambda s, t: loss(s, t, temperature), lambda s, t: reference(s, t, temperature), [student], [teacher])


def test_the_correlation_is_the_one_of_numpy(generator):
    student, teacher = generator.normal(size=(2, 8, 10))
    pairs = zip(probabilities(student, 1), probabilities(teacher, 1), strict=True)
    expected = np.mean([1 - np.corrcoef(own, theirs)[0, 1] for own, theirs in pairs])
    assert float(inter_class_loss(student, teacher, 1.0)) == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_and_opposite_relations(loss):
    logits = np.log([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]])
    assert float(loss(logits, logits, 1.0)) == pytest.approx(0, abs=1e-12)
    assert float(loss(logits, logits[:, ::-1], 1.0)) == pytest.approx(2)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_straighter_student_loses_nothing(loss):
    """A student with the same relations and less contrast matches: this is what DIST relaxes."""
    teacher = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2]])
    student = 0.25 * teacher + 0.25
    assert float(loss(np.log(student), np.log(teacher), 1.0)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("samples", [1, 4])
def test_degenerate_logits_are_finite(samples, generator):
    spread = generator.normal(size=(samples, 10)).astype(np.float32)
    constant, alike = np.full_like(spread, 0.3), np.repeat(spread[:1], samples, axis=0)
    certain = np.where(np.arange(10) == 3, 400, -400).astype(np.float32) * np.ones_like(spread)
    cases = [(constant, spread), (spread, constant), (alike, alike), (certain, spread), (spread, certain)]
    assert_finite(both, *(([student], [teacher]) for student, teacher in cases))


@pytest.mark.parametrize("student", ["constant", "certain"])
def test_a_degenerate_student_has_a_gradient_of_ordinary_size(student, generator):
    teacher = generator.normal(size=(8, 10)).astype(np.float32)
    logits = {"constant": np.full_like(teacher, 0.3), "certain": 800 * np.eye(8, 10, dtype=np.float32)}[student]
    _, (gradient,) = value_and_gradients(both, [logits], [teacher])
    assert np.abs(gradient).max() < 1e4


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_twice_is_the_same_relation(loss, generator):
    student, teacher = generator.normal(size=(2, 6, 10))
    doubled = [np.concatenate([logits, logits]) for logits in (student, teacher)]
    assert float(loss(*doubled)) == pytest.approx(float(loss(student, teacher)))


def test_one_image_has_no_relation_to_others(generator):
    student, teacher = generator.normal(size=(2, 1, 10))
    assert float(intra_class_loss(student, teacher, 2.0)) == pytest.approx(4)
    assert float(inter_class_loss(student, teacher, 2.0)) == pytest.approx(inter_reference(student, teacher, 2.0))


@pytest.mark.parametrize("loss", LOSSES)
def test_teacher_is_constant(loss, generator):
    assert_teacher_is_constant(loss, generator.normal(size=(4, 3)), generator.normal(size=(4, 3)))


@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_do_not_broadcast(loss, generator):
    logits = generator.normal(size=(4, 3))
    with pytest.raises(ValueError, match="shape"):
        loss(logits, logits[:1])


def test_the_term_is_the_weighted_sum_of_both_losses():
    distiller = build("dist", ["method.inter_weight=3", "method.intra_weight=0.5", "method.temperature=2"])
    batch = batch_of(distiller)
    student, teacher = (outputs["logits"].numpy().astype(float) for outputs in (batch.student, batch.teacher))
    expected = 3 * inter_reference(student, teacher, 2.0) + 0.5 * intra_reference(student, teacher, 2.0)
    assert float(distiller.distillation_loss(batch)) == pytest.approx(expected, rel=1e-4)
