import itertools

import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import batch_of, build

from kd_bench.distillers.rkd import rkd_angle_loss, rkd_distance_loss

GOLDEN_STUDENT = np.array([[0, 0], [3, 4], [0, 1], [2, 0]], float)
GOLDEN_TEACHER = np.array([[0, 0, 0], [1, 2, 2], [0, 0, 1], [2, 1, 0]], float)
LOSSES = [rkd_distance_loss, rkd_angle_loss]


def huber(own, theirs):
    gap = abs(own - theirs)
    return gap**2 / 2 if gap <= 1 else gap - 0.5


def distance_reference(student, teacher):
    """The mean over all pairs, one pair at a time."""

    def relative(x):
        samples = range(len(x))
        distances = np.array([[np.sqrt(((x[i] - x[j]) ** 2).sum()) for j in samples] for i in samples])
        return distances / np.mean([distances[i, j] for i in samples for j in samples if i != j])

    own, theirs = relative(student), relative(teacher)
    return np.mean([huber(a, b) for a, b in zip(own.flat, theirs.flat, strict=True)])


def angle_reference(student, teacher):
    """The mean over all triples, one triple at a time."""

    def cosine(x, i, j, k):
        to_j, to_k = x[j] - x[i], x[k] - x[i]
        lengths = np.linalg.norm(to_j) * np.linalg.norm(to_k)
        return to_j @ to_k / lengths if lengths > 0 else 0.0

    triples = itertools.product(range(len(student)), repeat=3)
    return np.mean([huber(cosine(student, *triple), cosine(teacher, *triple)) for triple in triples])


REFERENCES = [(rkd_distance_loss, distance_reference), (rkd_angle_loss, angle_reference)]


def test_golden_values():
    distance = float(rkd_distance_loss(GOLDEN_STUDENT, GOLDEN_TEACHER))
    angle = float(rkd_angle_loss(GOLDEN_STUDENT, GOLDEN_TEACHER))
    assert distance == pytest.approx(0.0304996216, abs=5e-11)
    assert angle == pytest.approx(0.0092339212, abs=5e-11)
    assert 25 * distance + 50 * angle == pytest.approx(1.2241865997, abs=5e-10)


@pytest.mark.parametrize("shapes", [((5, 3), (5, 4)), ((2, 3), (2, 2)), ((4, 1), (4, 2))])
@pytest.mark.parametrize(("loss", "reference"), REFERENCES)
def test_agrees_with_the_equation(loss, reference, shapes, generator):
    student, teacher = (generator.normal(size=shape) for shape in shapes)
    assert_agrees(loss, reference, [student], [teacher])


def test_far_apart_relations_are_in_the_linear_part_of_the_huber_distance():
    # One far sample among six makes one relative distance 3 here and 1 there.
    student, teacher = np.zeros((6, 1)), np.eye(6)
    student[0] = 1.0
    expected = np.mean([huber(a, 1.0) for a in [3.0] * 10 + [0.0] * 20] + [0.0] * 6)
    assert float(rkd_distance_loss(student, teacher)) == pytest.approx(expected)


@pytest.mark.parametrize("samples", [1, 2, 4])
def test_degenerate_batches_are_finite(samples, generator):
    def both(student, teacher):
        return rkd_distance_loss(student, teacher) + rkd_angle_loss(student, teacher)

    spread = generator.normal(size=(samples, 3)).astype(np.float32)
    zeros, alike = np.zeros_like(spread), np.repeat(spread[:1], samples, axis=0)
    # Two samples in one place, and two closer than the squared distance can say.
    some_alike = np.concatenate([alike[:2], 1e-25 * alike[:2], spread])[:samples]
    assert_finite(both, ([zeros], [spread]), ([alike], [zeros]), ([some_alike], [spread]))


@pytest.mark.parametrize("loss", LOSSES)
def test_scale_place_and_rotation_of_the_student_do_not_matter(loss, generator):
    student, teacher = generator.normal(size=(5, 3)), generator.normal(size=(5, 2))
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    moved = 7 * student @ rotation + generator.normal(size=3)
    assert float(loss(moved, teacher)) == pytest.approx(float(loss(student, teacher)))
    assert float(loss(moved, student)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_teacher_is_constant(loss, generator):
    assert_teacher_is_constant(loss, generator.normal(size=(4, 3)), generator.normal(size=(4, 3)))


@pytest.mark.parametrize("loss", LOSSES)
def test_batches_of_two_sizes_do_not_broadcast(loss, generator):
    with pytest.raises(ValueError, match="shape"):
        loss(generator.normal(size=(4, 3)), generator.normal(size=(1, 3)))


@pytest.mark.parametrize("features", ["embedding", "logits"])
@pytest.mark.parametrize("normalize", [False, True])
def test_the_term_is_the_losses_of_what_the_options_say(features, normalize):
    distiller = build("rkd", [f"method.features={features}", f"method.normalize={str(normalize).lower()}"])
    batch = batch_of(distiller)
    found = float(distiller.distillation_loss(batch))
    student, teacher = (outputs[features].numpy().astype(float) for outputs in (batch.student, batch.teacher))
    if normalize:
        student, teacher = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (student, teacher))
    expected = 25 * distance_reference(student, teacher) + 50 * angle_reference(student, teacher)
    assert found == pytest.approx(expected, rel=1e-4)
