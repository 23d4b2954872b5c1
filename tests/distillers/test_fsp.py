import numpy as np
import pytest
from helpers import references
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant

from kd_bench.distillers.fsp import fsp_loss, fsp_matrix


def test_golden_matrix():
    shallow = np.arange(8.0).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(fsp_matrix(shallow, np.ones((1, 2, 2, 1))), [[[3.0], [4.0]]])


def test_agrees_with_the_equation(generator):
    sizes = [(2, 8, 8, 2), (2, 4, 4, 3), (2, 1, 1, 2)]
    student, teacher = ([generator.normal(size=size) for size in sizes] for _ in range(2))
    assert_agrees(fsp_loss, references.fsp, [student], [teacher])


def test_degenerate_maps_are_finite():
    zeros = [np.zeros((2, 4, 4, 3), np.float32)] * 2
    assert_finite(fsp_loss, ([zeros], [zeros]))


def test_the_batch_size_does_not_scale_the_loss(generator):
    student, teacher = ([generator.normal(size=(3, 4, 4, 2)) for _ in range(2)] for _ in range(2))
    twice = [[np.concatenate([maps, maps]) for maps in network] for network in (student, teacher)]
    assert float(fsp_loss(*twice)) == pytest.approx(float(fsp_loss(student, teacher)))


def test_teacher_is_constant(generator):
    student, teacher = ([generator.normal(size=(3, 4, 4, 2)) for _ in range(2)] for _ in range(2))
    assert_teacher_is_constant(fsp_loss, student, teacher)


def test_channels_that_differ_are_refused(generator):
    student, teacher = ([generator.normal(size=(3, 4, 4, channels)) for _ in range(2)] for channels in (2, 3))
    with pytest.raises(ValueError, match="shape"):
        fsp_loss(student, teacher)
