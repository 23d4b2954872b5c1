"""Scores of predictions: pure functions of logits, labels and the teacher's logits. No TensorFlow."""

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.metrics import top_k_accuracy_score

CALIBRATION_BINS = 15


def final_scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """Returns all scores of one network: name in the record -> score.

    Args:
        logits: `[N,K]`.
        labels: int `[N]`.
    """
    scores = (top5_accuracy, negative_log_likelihood, calibration_error)
    return {score.__name__: score(logits, labels) for score in scores}


def scores_against_teacher(logits: np.ndarray, teacher_logits: np.ndarray) -> dict[str, float]:
    """Returns the scores that compare a student with its teacher: name in the record -> score.

    Args:
        logits: the student's, `[N,K]`.
        teacher_logits: the teacher's, `[N,K]`.
    """
    return {score.__name__: score(teacher_logits, logits) for score in (teacher_divergence, agreement)}


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the share of images whose most probable class is the label.

    Args:
        logits: `[N,K]`.
        labels: int `[N]`.
    """
    return float(np.mean(logits.argmax(axis=1) == labels))


def top5_accuracy(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Returns the share of images whose label is among the five most probable classes; None for K <= 5."""
    classes = logits.shape[1]
    if classes <= 5:  # noqa: PLR2004 - the name says it
        return None
    return float(top_k_accuracy_score(labels, logits, k=5, labels=np.arange(classes)))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean over the images of -log softmax(logits)[label], in nats."""
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    return float(-np.mean(np.take_along_axis(log_probabilities, labels[:, np.newaxis].astype(np.int64), axis=1)))


def calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the expected calibration error: the mean of |accuracy - confidence| over 15 bins, weighted by images.

    The bins have equal widths; each includes its upper end. Guo et al., "On Calibration of Modern Neural Networks",
    ICML 2017, eq. 3.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64)
    return float(np.abs(np.bincount(bins, weights=correct - confidence)).sum() / len(labels))


def teacher_divergence(teacher_logits: np.ndarray, student_logits: np.ndarray) -> float:
    """Returns the mean over the images of KL(softmax(teacher) || softmax(student)), in nats.

    Args:
        teacher_logits: `[N,K]`.
        student_logits: `[N,K]`.
    """
    teacher, student = (log_softmax(side.astype(np.float64), axis=1) for side in (teacher_logits, student_logits))
    return float(np.mean(np.sum(np.exp(teacher) * (teacher - student), axis=1)))


def agreement(teacher_logits: np.ndarray, student_logits: np.ndarray) -> float:
    """Returns the share of images for which both predict the same class."""
    return float(np.mean(teacher_logits.argmax(axis=1) == student_logits.argmax(axis=1)))
