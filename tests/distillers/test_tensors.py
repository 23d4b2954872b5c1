import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_teacher_is_constant

from kd_bench.distillers.tensors import squared_error


def error(student, teacher):
    return squared_error("it", student, teacher)


@pytest.mark.parametrize("shape", [(4, 3), (2, 2, 3, 2)])
def test_agrees_with_the_equation(shape, generator):
    student, teacher = generator.normal(size=(2, *shape))
    assert_agrees(
        error, lambda s, t: np.mean([(x - y) ** 2 for x, y in zip(s.flat, t.flat, strict=True)]), [student], [teacher]
    )


def test_teacher_is_constant(generator):
    assert_teacher_is_constant(error, *generator.normal(size=(2, 4, 3)))


def test_shapes_do_not_broadcast(generator):
    with pytest.raises(ValueError, match=r"^it: "):
        error(generator.normal(size=(4, 3)), generator.normal(size=(1, 3)))
