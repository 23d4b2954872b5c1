"""KD-SVD from its equation, in NumPy, and feature maps to try it on."""

import itertools

import numpy as np


def vectors(features):
    """Returns singular values and right vectors (columns, of sums at least 0) of one sample's map `[H,W,D]`."""
    _, singular, right = np.linalg.svd(features.reshape(-1, features.shape[-1]), full_matrices=False)
    return singular, np.stack([row if row.sum() >= 0 else -row for row in right], axis=1)


def distilled(student, teacher, k, extra):
    """Returns the weighted vectors a^S, a^T of one sample at one point (section 2.2 of the specification)."""
    singular, target = vectors(teacher)
    candidates = vectors(student)[1][:, : k + extra]
    weights = singular[:k] / np.sqrt((singular[:k] ** 2).sum())
    own, theirs = [], []
    for j in range(k):
        cosines = candidates.T @ target[:, j]
        best = np.abs(cosines).argmax()
        own.append(weights[j] * np.sign(cosines[best]) * candidates[:, best])
        theirs.append(weights[j] * target[:, j])
    return np.array(own), np.array(theirs)


def relation(shallow, deep, beta):
    return np.exp(-((deep[:, None] - shallow[None, :]) ** 2) / beta)


def reference(students, teachers, k=1, extra=3, beta=8.0, last_sign=1):
    total = 0.0
    for sample in range(len(students[0])):
        points = [distilled(s[sample], t[sample], k, extra) for s, t in zip(students, teachers, strict=True)]
        points[-1] = tuple(last_sign * vectors for vectors in points[-1])
        for (own, theirs), (next_own, next_theirs) in itertools.pairwise(points):
            for j in range(k):
                difference = relation(own[j], next_own[j], beta) - relation(theirs[j], next_theirs[j], beta)
                total += (difference**2).sum()
    return total


def post_relu(generator, *shapes):
    return [np.maximum(generator.normal(size=shape), 0) + 0.05 * generator.random(shape) for shape in shapes]


def tall_and_wide(generator):
    """Returns maps with more and with fewer positions than channels; the student's of other sizes."""
    students = post_relu(generator, (2, 2, 3, 3), (2, 2, 2, 5))
    return students, post_relu(generator, (2, 4, 3, 3), (2, 1, 3, 5))


def degenerate_pairs(generator):
    """Returns students' and teachers' maps, a batch of pairs of each."""
    students, teachers = [], []
    for height, width, channels in ((3, 3, 4), (2, 2, 6)):
        first, second = post_relu(generator, *2 * [(height, width, channels)])
        zeros, ones = 0 * first, 0 * first + 1
        identity = np.eye(height * width, channels).reshape(first.shape)
        pairs = [(zeros, first), (first, zeros), (zeros, zeros), (first, first), (ones, ones), (identity, second)]
        students.append(np.stack([own for own, _ in pairs]).astype(np.float32))
        teachers.append(np.stack([theirs for _, theirs in pairs]).astype(np.float32))
    return students, teachers
