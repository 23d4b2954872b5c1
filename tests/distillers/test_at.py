import numpy as np
import pytest
from helpers import references
from helpers.golden import STUDENT_MAP, TEACHER_MAP
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant

from kd_bench.distillers.at import attention_transfer_loss, paper_attention_loss
from kd_bench.errors import ConfigError


def test_golden_values():
    code = attention_transfer_loss([STUDENT_MAP], [TEACHER_MAP], p=2)
    assert float(code) == pytest.approx(0.03776663669651, rel=1e-11)
    paper = paper_attention_loss([STUDENT_MAP], [TEACHER_MAP], p=2)
    assert 2 * float(paper) == pytest.approx(0.77733246926, rel=1e-10)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_agrees_with_the_equation(p, generator):
    students = [generator.normal(size=(2, 4, 4, 3)), generator.normal(size=(2, 2, 2, 2))]
    teachers = [generator.normal(size=(2, 4, 4, 5)), generator.normal(size=(2, 4, 4, 3))]
    assert_agrees(
        lambda s, t: attention_transfer_loss(s, t, p),
        lambda s, t: references.attention_transfer(s, t, p),
        [students],
        [teachers],
    )


def test_paper_form_agrees_with_the_equation(generator):
    student, teacher = generator.normal(size=(2, 3, 4, 4, 2))
    assert_agrees(paper_attention_loss, references.paper_attention, [[student]], [[teacher]])


@pytest.mark.parametrize("loss", [attention_transfer_loss, paper_attention_loss])
def test_dead_and_identical_maps_are_finite(loss):
    maps = STUDENT_MAP.astype(np.float32)
    pairs = [(0 * maps, maps), (maps, 0 * maps), (0 * maps, 0 * maps), (maps, maps)]
    assert_finite(loss, *(([[student]], [[teacher]]) for student, teacher in pairs))


def test_scale_and_order_of_channels_do_not_matter():
    value = float(attention_transfer_loss([STUDENT_MAP], [TEACHER_MAP]))
    changed = 7.0 * np.concatenate([STUDENT_MAP[..., ::-1], STUDENT_MAP], axis=-1)
    assert float(attention_transfer_loss([changed], [TEACHER_MAP])) == pytest.approx(value)


def test_teacher_is_constant():
    assert_teacher_is_constant(attention_transfer_loss, [STUDENT_MAP], [TEACHER_MAP])


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="4x4 and 3x3"):
        attention_transfer_loss([STUDENT_MAP], [TEACHER_MAP[:, :3, :3]])
