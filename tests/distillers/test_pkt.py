from types import SimpleNamespace

import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import LABELS, batch_of, build
from scipy.special import rel_entr

from kd_bench.distillers.pkt import pkt_loss


def neighbours(x):
    """The conditional probabilities of the kernel (1 + cosine) / 2, one pair at a time."""
    samples = range(len(x))
    kernel = np.array([[x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j]) for j in samples] for i in samples])
    return np.array([[(kernel[i, j] + 1) / sum(kernel[i] + 1) for j in samples] for i in samples])


def pkt_reference(student, teacher, divergence="kl", eps=1e-7):
    own, theirs = neighbours(student), neighbours(teacher)

    def kl(p, q):
        return sum(a * np.log((a + eps) / (b + eps)) for a, b in zip(p.flat, q.flat, strict=True)) / own.size

    return kl(theirs, own) if divergence == "kl" else kl(theirs, own) + kl(own, theirs)


def test_golden_value():
    # Cosines 0 and 1: probabilities (2/3, 1/3) of the student, (1/2, 1/2) of the teacher.
    expected = (np.log(3 / 4) + np.log(3 / 2)) / 4
    assert float(pkt_loss([[1.0, 0.0], [0.0, 2.0]], [[1.0], [3.0]])) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("divergence", ["kl", "jeffreys"])
def test_agrees_with_the_equation(divergence, generator):
    student, teacher = generator.normal(size=(4, 3)), generator.normal(size=(4, 5))
    assert_agrees(
        lambda s, t: pkt_loss(s, t, divergence),
        lambda s, t: pkt_reference(s, t, divergence),
        [student],
        [teacher],
    )


def test_it_is_the_divergence_of_the_neighbours(generator):
    student, teacher = generator.normal(size=(8, 3)), generator.normal(size=(8, 5))
    expected = rel_entr(neighbours(teacher), neighbours(student)).mean()
    assert float(pkt_loss(student, teacher)) == pytest.approx(expected, rel=1e-4)


def test_degenerate_embeddings_are_finite(generator):
    spread = generator.normal(size=(4, 3)).astype(np.float32)
    zeros, alike, large = np.zeros_like(spread), np.repeat(spread[:1], 4, axis=0), 1e15 * spread
    one_of_zeros, opposite = spread * np.float32([[0], [1], [1], [1]]), alike * np.float32([[1], [-1], [1], [-1]])
    pairs = [(zeros, spread), (spread, zeros), (zeros, zeros), (alike, spread), (one_of_zeros, spread)]
    pairs += [(opposite, spread), (spread, opposite), (opposite, alike), (large, spread)]

    def both(student, teacher):
        return pkt_loss(student, teacher) + pkt_loss(student, teacher, "jeffreys")

    assert_finite(both, *(([student], [teacher]) for student, teacher in pairs))


def test_one_image_has_no_relation_to_others(generator):
    student, teacher = generator.normal(size=(2, 1, 3)).astype(np.float32)
    assert float(pkt_loss(student, teacher)) == pytest.approx(0, abs=1e-7)
    assert_finite(pkt_loss, ([student], [teacher]), ([0 * student], [teacher]))


def test_scale_of_each_sample_and_rotation_of_the_student_do_not_matter(generator):
    student, teacher = generator.normal(size=(5, 3)), generator.normal(size=(5, 4))
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    moved = generator.uniform(1, 9, size=(5, 1)) * student @ rotation
    assert float(pkt_loss(moved, teacher)) == pytest.approx(float(pkt_loss(student, teacher)))
    assert float(pkt_loss(moved, student)) == pytest.approx(0, abs=1e-12)


def test_teacher_is_constant(generator):
    assert_teacher_is_constant(pkt_loss, generator.normal(size=(4, 3)), generator.normal(size=(4, 3)))


def test_batches_of_two_sizes_do_not_broadcast(generator):
    with pytest.raises(ValueError, match="shape"):
        pkt_loss(generator.normal(size=(4, 3)), generator.normal(size=(1, 3)))


@pytest.mark.parametrize("divergence", ["kl", "jeffreys"])
def test_the_term_is_the_chosen_divergence_of_the_embeddings(divergence):
    distiller = build("pkt", [f"method.divergence={divergence}"])
    batch = batch_of(distiller)
    student, teacher = (outputs["embedding"].numpy().astype(float) for outputs in (batch.student, batch.teacher))
    expected = 30000 * pkt_reference(student, teacher, divergence)
    assert float(distiller.distillation_loss(batch)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("scaling", "ratio"), [("true", 1.0), ("false", 0.5)])
def test_with_batch_scaling_every_image_twice_is_the_same_loss(scaling, ratio, generator):
    distiller = build("pkt", [f"method.batch_scaling={scaling}"])
    embeddings = generator.normal(size=(2, 6, 3)).astype(np.float32)

    def loss(copies):
        distiller.weight = 30000.0
        distiller.prepare(LABELS, 6 * copies)
        student, teacher = ({"embedding": np.concatenate([rows] * copies)} for rows in embeddings)
        return float(distiller.distillation_loss(SimpleNamespace(student=student, teacher=teacher)))

    assert loss(2) == pytest.approx(ratio * loss(1), rel=1e-4)
