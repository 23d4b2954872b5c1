from types import SimpleNamespace

import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import LABELS, batch_of, build

from kd_bench.distillers.sp import similarity_loss


def similarity_reference(student, teacher):
    """The squared Frobenius norm of the difference of the row-normalised matrices over b**2, one pair at a time."""
    samples = range(len(student))

    def row(features, i):
        products = np.array([(features[i] * features[j]).sum() for j in samples])
        return products / np.sqrt((products**2).sum())

    return sum(((row(student, i) - row(teacher, i)) ** 2).sum() for i in samples) / len(student) ** 2


def test_golden_value():
    # Rows (1, 1) / sqrt(2) and (1, 0): two of them differ by 2 - sqrt(2) in the square.
    assert float(similarity_loss([[1.0], [1.0]], [[3.0, 0.0], [0.0, 3.0]])) == pytest.approx((2 - 2**0.5) / 2)


@pytest.mark.parametrize("shapes", [((4, 2, 2, 3), (4, 1, 1, 2)), ((3, 5), (3, 2, 2, 1))])
def test_agrees_with_the_equation(shapes, generator):
    student, teacher = (generator.normal(size=shape) for shape in shapes)
    assert_agrees(similarity_loss, similarity_reference, [student], [teacher])


def test_degenerate_maps_are_finite(generator):
    spread = generator.normal(size=(4, 2, 2, 3)).astype(np.float32)
    zeros, alike, large = np.zeros_like(spread), np.repeat(spread[:1], 4, axis=0), 1e4 * spread
    one_of_zeros = spread * (np.arange(4) > 0).reshape(4, 1, 1, 1).astype(np.float32)
    cases = [(zeros, spread), (spread, zeros), (zeros, zeros), (alike, spread), (one_of_zeros, spread), (large, alike)]
    assert_finite(similarity_loss, *(([student], [teacher]) for student, teacher in cases))


def test_one_image_has_no_relation_to_others(generator):
    student, teacher = generator.normal(size=(2, 1, 2, 2, 3)).astype(np.float32)
    assert float(similarity_loss(student, teacher)) == pytest.approx(0, abs=1e-12)
    assert_finite(similarity_loss, ([student], [teacher]), ([0 * student], [teacher]))


def test_scale_places_and_rotation_of_the_student_do_not_matter(generator):
    student, teacher = generator.normal(size=(5, 2, 2, 3)), generator.normal(size=(5, 6))
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    moved = 7 * student[:, ::-1] @ rotation
    assert float(similarity_loss(moved, teacher)) == pytest.approx(float(similarity_loss(student, teacher)))
    assert float(similarity_loss(moved, student)) == pytest.approx(0, abs=1e-12)


def test_a_map_with_each_place_four_times_is_the_same_relation(generator):
    student, teacher = generator.normal(size=(5, 2, 2, 3)), generator.normal(size=(5, 6))
    enlarged = student.repeat(2, axis=1).repeat(2, axis=2)
    assert float(similarity_loss(enlarged, teacher)) == pytest.approx(float(similarity_loss(student, teacher)))


def test_teacher_is_constant(generator):
    assert_teacher_is_constant(similarity_loss, generator.normal(size=(4, 3)), generator.normal(size=(4, 3)))


def test_batches_of_two_sizes_do_not_broadcast(generator):
    with pytest.raises(ValueError, match="shape"):
        similarity_loss(generator.normal(size=(4, 3)), generator.normal(size=(1, 3)))


@pytest.mark.parametrize(("points", "first"), [("last", 2), ("all", 0)])
def test_the_term_is_the_sum_of_the_losses_of_the_chosen_maps(points, first):
    distiller = build("sp", [f"method.points={points}"])
    batch = batch_of(distiller)
    pairs = list(zip(batch.student["passed"], batch.teacher["passed"], strict=True))
    assert len(pairs) == 3
    losses = [similarity_reference(*(maps.numpy().astype(float) for maps in pair)) for pair in pairs[first:]]
    expected = 3000 * sum(losses)
    assert float(distiller.distillation_loss(batch)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("scaling", "ratio"), [("true", 1.0), ("false", 0.5)])
def test_with_batch_scaling_every_image_twice_is_the_same_loss(scaling, ratio, generator):
    distiller = build("sp", [f"method.batch_scaling={scaling}"])
    maps = generator.normal(size=(2, 6, 2, 2, 3)).astype(np.float32)

    def loss(copies):
        distiller.weight = 3000.0
        distiller.prepare(LABELS, 6 * copies)
        student, teacher = ({"passed": [np.concatenate([features] * copies)]} for features in maps)
        return float(distiller.distillation_loss(SimpleNamespace(student=student, teacher=teacher)))

    assert loss(2) == pytest.approx(ratio * loss(1), rel=1e-5)
