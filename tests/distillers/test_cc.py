import math

import numpy as np
import pytest
import tensorflow as tf
from helpers.losses import assert_agrees, assert_finite
from helpers.methods import batch_of, build

from kd_bench.distillers.cc import correlation_loss, correlations, neighbour_loss


def neighbour_reference(student, teacher):
    terms = []
    for i in range(len(student) - 1):
        here, there = np.abs(student[i] - teacher[i]), np.abs(student[i + 1] - teacher[i + 1])
        terms.append(here @ there)
    return np.mean(terms)


def series(x, y, gamma, order):
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    return math.exp(-2 * gamma) * sum((2 * gamma * cosine) ** p / math.factorial(p) for p in range(order + 1))


def correlation_reference(student, teacher, gamma=0.4, order=2):
    pairs = [(i, j) for i in range(len(student)) for j in range(len(student))]
    own, theirs = ([series(x[i], x[j], gamma, order) for i, j in pairs] for x in (student, teacher))
    return np.mean(np.square(np.subtract(own, theirs)))


def test_golden_value():
    assert (
        float(neighbour_loss(np.array([[1.0, 0.0], [0.0, 0.0], [5.0, 5.0]]), np.full((3, 2), 2.0)))
        == (2 + 4 + 6 + 6) / 2
    )


def test_the_authors_form_agrees_with_its_equation(generator):
    student, teacher = generator.normal(size=(2, 4, 3))
    assert_agrees(neighbour_loss, neighbour_reference, [student, teacher])


@pytest.mark.parametrize(("gamma", "order"), [(0.4, 2), (1.5, 1)])
def test_the_papers_form_agrees_with_its_equation(gamma, order, generator):
    student, teacher = generator.normal(size=(4, 3)), generator.normal(size=(4, 5))
    assert_agrees(
        lambda s, t: correlation_loss(s, t, gamma, order),
        lambda s, t: correlation_reference(s, t, gamma, order),
        [student, teacher],
    )


def test_the_series_ends_at_the_gaussian_kernel(generator):
    x = generator.normal(size=(5, 3))
    directions = x / np.linalg.norm(x, axis=1, keepdims=True)
    squared = ((directions[:, None] - directions[None]) ** 2).sum(-1)
    np.testing.assert_allclose(correlations(tf.constant(x), 0.4, 20), np.exp(-0.4 * squared), rtol=1e-6)


def test_a_rotation_changes_no_correlation(generator):
    student, teacher = generator.normal(size=(2, 5, 3))
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    assert float(correlation_loss(student @ rotation, teacher)) == pytest.approx(
        float(correlation_loss(student, teacher))
    )
    assert float(correlation_loss(3 * student @ rotation, student)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("loss", [neighbour_loss, correlation_loss])
def test_degenerate_embeddings_are_finite(loss, generator):
    spread = generator.normal(size=(4, 3)).astype(np.float32)
    zeros, alike = np.zeros_like(spread), np.repeat(spread[:1], 4, axis=0)
    pairs = [(zeros, spread), (spread, zeros), (zeros, zeros), (alike, spread), (spread, spread)]
    assert_finite(loss, *((list(pair), []) for pair in pairs))


@pytest.mark.parametrize("loss", [neighbour_loss, correlation_loss])
def test_batches_of_two_sizes_do_not_broadcast(loss, generator):
    with pytest.raises(ValueError, match="loss"):
        loss(generator.normal(size=(4, 3)), generator.normal(size=(1, 3)))


@pytest.mark.parametrize(("form", "loss"), [("code", neighbour_reference), ("paper", correlation_reference)])
def test_the_term_is_the_chosen_form_of_the_embeddings(form, loss):
    distiller = build("cc", [f"method.form={form}"])
    batch = batch_of(distiller)
    outputs = (batch.student["embedding"], batch.teacher["embedding"])
    own, theirs = (model(output).numpy() for model, output in zip(distiller.embeddings, outputs, strict=True))
    assert own.shape == theirs.shape == (8, 128)
    assert float(distiller.distillation_loss(batch)) == pytest.approx(0.02 * loss(own, theirs), rel=1e-4)
