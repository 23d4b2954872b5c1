"""Every loss once more, in plain NumPy float64, written from the equations and not from the implementation."""

import itertools

import numpy as np


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def soft_logits(student, teacher, temperature=4.0):
    total = 0.0
    for own, theirs in zip(student, teacher, strict=True):
        log_q, log_p = log_softmax(own / temperature), log_softmax(theirs / temperature)
        total += sum(np.exp(p) * (p - q) for p, q in zip(log_p, log_q, strict=True))
    return temperature**2 * total / len(student)


def hint(student, teacher):
    samples, height, width, _ = student.shape
    return 0.5 * ((student - teacher) ** 2).sum() / (samples * height * width)


def average_pool(features, window):
    samples, height, width, channels = features.shape
    blocks = features.reshape(samples, height // window, window, width // window, window, channels)
    return blocks.mean(axis=(2, 4))


def max_pool(features, window):
    samples, height, width, channels = features.shape
    blocks = features.reshape(samples, height // window, window, width // window, window, channels)
    return blocks.max(axis=(2, 4))


def attention(features, p):
    values = (np.abs(features) ** p).sum(axis=3).reshape(len(features), -1)
    lengths = np.sqrt((values**2).sum(axis=1, keepdims=True))
    return values / np.where(lengths > 0, lengths, 1)


def attention_transfer(students, teachers, p=2):
    total = 0.0
    for own, theirs in zip(students, teachers, strict=True):
        if own.shape[1] > theirs.shape[1]:
            own = average_pool(own, own.shape[1] // theirs.shape[1])
        elif theirs.shape[1] > own.shape[1]:
            theirs = average_pool(theirs, theirs.shape[1] // own.shape[1])
        total += ((attention(own, p) - attention(theirs, p)) ** 2).mean()
    return total


def paper_attention(students, teachers, p=2):
    differences = [attention(own, p) - attention(theirs, p) for own, theirs in zip(students, teachers, strict=True)]
    return sum(0.5 * np.sqrt((difference**2).sum(axis=1)).mean() for difference in differences)


def fsp(students, teachers):
    def matrices(maps):
        for early, late in itertools.pairwise(maps):
            early = max_pool(early, early.shape[1] // late.shape[1])
            yield np.einsum("bhwi,bhwj->bij", early, late) / (late.shape[1] * late.shape[2])

    pairs = zip(matrices(students), matrices(teachers), strict=True)
    return sum(((own - theirs) ** 2).sum() / len(own) for own, theirs in pairs)
