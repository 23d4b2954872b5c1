"""Scores against other people's code and numbers worked out by hand."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.metrics import log_loss

from kd_bench.training.scores import (
    accuracy,
    agreement,
    calibration_error,
    final_scores,
    negative_log_likelihood,
    scores_against_teacher,
    teacher_divergence,
    top5_accuracy,
)


@pytest.fixture
def logits(generator):
    return generator.normal(size=(50, 7)).astype(np.float32)


@pytest.fixture
def labels(generator):
    return generator.integers(0, 7, 50).astype(np.int32)


def of(*probabilities):
    return np.log(np.array(probabilities, np.float32))


def test_likelihood_agrees_with_scikit_learn(logits, labels):
    expected = log_loss(labels, softmax(logits.astype(float), axis=1), labels=range(7))
    assert negative_log_likelihood(logits, labels) == pytest.approx(expected)


def test_divergence_agrees_with_scipy(logits, generator):
    teacher = generator.normal(size=(50, 7))
    expected = entropy(softmax(teacher, axis=1), softmax(logits.astype(float), axis=1), axis=1).mean()
    assert teacher_divergence(teacher, logits) == pytest.approx(expected)
    assert teacher_divergence(logits, logits) == pytest.approx(0, abs=1e-12)


def test_top5_counts_a_label_among_the_five_largest():
    logits = np.array([[6, 5, 4, 3, 2, 1, 0]] * 4, np.float32)
    assert top5_accuracy(logits, np.array([0, 4, 5, 6])) == 0.5
    assert top5_accuracy(logits[:, :5], np.array([0, 1, 2, 3])) is None


def test_calibration_error_by_hand():
    # Confidences 0.9 (one of two right) and 0.6 (right): 2/3 * |0.5 - 0.9| + 1/3 * |1 - 0.6|.
    logits, labels = of([0.9, 0.1], [0.1, 0.9], [0.6, 0.4]), np.array([0, 0, 0])
    assert calibration_error(logits, labels) == pytest.approx(0.4, abs=1e-6)


def test_who_is_as_sure_as_right_is_calibrated():
    logits, labels = of(*[[0.75, 0.25]] * 4), np.array([0, 0, 0, 1])
    assert calibration_error(logits, labels) == pytest.approx(0, abs=1e-6)


def test_certainty_without_rounding_or_overflow():
    logits = np.array([[1e4, 0.0, 0.0], [0.0, 1e4, 0.0]], np.float32)
    labels = np.array([0, 0])
    assert negative_log_likelihood(logits, labels) == 5e3
    assert calibration_error(logits, labels) == 0.5
    assert teacher_divergence(logits, logits) == 0


def test_accuracy_and_agreement(logits, labels):
    assert accuracy(logits, logits.argmax(axis=1)) == agreement(logits, 2 * logits) == 1
    assert accuracy(logits, labels) == np.mean(logits.argmax(axis=1) == labels)


def test_scores_go_by_their_names_in_the_record(logits, labels):
    assert list(final_scores(logits, labels)) == ["top5_accuracy", "negative_log_likelihood", "calibration_error"]
    assert list(scores_against_teacher(logits, logits)) == ["teacher_divergence", "agreement"]
