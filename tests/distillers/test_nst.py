import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import batch_of, build

from kd_bench.distillers.nst import nst_loss


def kernel_of(x, y, kernel):
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    return cosine**2 if kernel == "polynomial" else cosine


def discrepancy(own, theirs, kernel="polynomial"):
    """Equation 5, one pair of channels of an image at a time."""

    def mean(first, second):
        return np.mean([kernel_of(x, y, kernel) for x in first for y in second])

    return mean(theirs, theirs) + mean(own, own) - 2 * mean(own, theirs)


def reference(student, teacher, kernel="polynomial"):
    channels = [np.reshape(maps, (len(maps), -1, maps.shape[-1])).transpose(0, 2, 1) for maps in (student, teacher)]
    return np.mean([discrepancy(own, theirs, kernel) for own, theirs in zip(*channels, strict=True)])


def test_golden_value():
    # Two positions. The student's channel is the first one, the teacher's are both: 1 + 1/2 - 2 * 1/2.
    student, teacher = np.array([[[[5.0], [0.0]]]]), np.array([[[[2.0, 0.0], [0.0, 3.0]]]])
    assert float(nst_loss(student, teacher)) == pytest.approx(0.5)


@pytest.mark.parametrize("kernel", ["polynomial", "linear"])
def test_agrees_with_the_equation(kernel, generator):
    student, teacher = generator.normal(size=(2, 2, 3, 2)), generator.normal(size=(2, 2, 3, 4))
    assert_agrees(lambda s, t: nst_loss(s, t, kernel), lambda s, t: reference(s, t, kernel), [student], [teacher])


def test_scale_order_and_repetition_of_channels_do_not_matter(generator):
    student, teacher = generator.normal(size=(2, 3, 3, 4)), generator.normal(size=(2, 3, 3, 5))
    moved = np.repeat(student[..., [2, 0, 3, 1]] * [2, 7, 1, 3], 2, axis=-1)
    assert float(nst_loss(moved, teacher)) == pytest.approx(float(nst_loss(student, teacher)))
    assert float(nst_loss(moved, student)) == pytest.approx(0, abs=1e-12)


def test_the_size_of_maps_does_not_matter(generator):
    student, teacher = generator.normal(size=(2, 2, 2, 3)), generator.normal(size=(2, 2, 2, 4))
    larger = [maps.repeat(2, axis=1).repeat(2, axis=2) for maps in (student, teacher)]
    assert float(nst_loss(*larger)) == pytest.approx(float(nst_loss(student, teacher)))


def test_degenerate_maps_are_finite(generator):
    spread = generator.normal(size=(2, 2, 2, 3)).astype(np.float32)
    zeros, large = np.zeros_like(spread), 1e15 * spread
    pairs = [(zeros, spread), (spread, zeros), (zeros, zeros), (large, spread), (np.ones_like(spread), spread)]
    assert_finite(nst_loss, *(([student], [teacher]) for student, teacher in pairs))


def test_teacher_is_constant(generator):
    assert_teacher_is_constant(nst_loss, generator.normal(size=(2, 2, 2, 3)), generator.normal(size=(2, 2, 2, 4)))


def test_maps_of_two_sizes_do_not_broadcast(generator):
    with pytest.raises(ValueError, match="nst_loss"):
        nst_loss(generator.normal(size=(2, 2, 2, 3)), generator.normal(size=(2, 1, 1, 3)))


@pytest.mark.parametrize(("points", "first"), [("all", 0), ("last", 2)])
def test_the_term_is_the_weighted_sum_over_the_groups(points, first):
    distiller = build("nst", [f"method.points={points}"])
    batch = batch_of(distiller)
    pairs = list(zip(batch.student["passed"], batch.teacher["passed"], strict=True))[first:]
    expected = 50 * sum(reference(own.numpy(), theirs.numpy()) for own, theirs in pairs)
    assert float(distiller.distillation_loss(batch)) == pytest.approx(expected, rel=1e-4)
