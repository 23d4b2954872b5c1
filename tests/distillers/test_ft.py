import numpy as np
import pytest
from helpers.golden import STUDENT_MAP, TEACHER_MAP
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import build, one_step

from kd_bench.distillers.ft import factor_transfer_loss, paraphraser_loss
from kd_bench.errors import ConfigError

LOSSES = [factor_transfer_loss, paraphraser_loss]


def distance(student, teacher, p=1):
    return sum(abs(a - b) ** p for a, b in zip(student.ravel(), teacher.ravel(), strict=True)) / student.size


def factor_transfer(student, teacher, p=1):
    def unit(factors):
        return np.stack([factor / np.sqrt((factor**2).sum()) for factor in factors])

    return distance(unit(student), unit(teacher), p)


def values(network):
    return np.concatenate([variable.numpy().ravel() for variable in network.variables])


def test_golden_values():
    assert float(factor_transfer_loss(STUDENT_MAP, TEACHER_MAP)) == pytest.approx(0.16497205839348, rel=1e-12)
    # Half of the mean squared error is what the specification gives for the hint, with three channels.
    assert float(paraphraser_loss(STUDENT_MAP, TEACHER_MAP, 2)) == pytest.approx(1.57987952211590, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 3, 2, 4)])
@pytest.mark.parametrize(("loss", "reference"), [(factor_transfer_loss, factor_transfer), (paraphraser_loss, distance)])
def test_agrees_with_the_equation(loss, reference, shape, p, generator):
    student, teacher = generator.normal(size=(2, *shape))
    assert_agrees(lambda s, t: loss(s, t, p), lambda s, t: reference(s, t, p), [student], [teacher])


@pytest.mark.parametrize("loss", LOSSES)
def test_dead_and_identical_maps_are_finite(loss):
    maps = STUDENT_MAP.astype(np.float32)
    pairs = [(0 * maps, maps), (maps, 0 * maps), (0 * maps, 0 * maps), (maps, maps)]
    assert_finite(loss, *(([student], [teacher]) for student, teacher in pairs))


def test_the_scale_of_a_factor_does_not_matter():
    scaled = STUDENT_MAP * np.array([3.0, 0.01]).reshape(2, 1, 1, 1)
    expected = float(factor_transfer_loss(STUDENT_MAP, TEACHER_MAP))
    assert float(factor_transfer_loss(scaled, TEACHER_MAP)) == pytest.approx(expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_teacher_is_constant(loss):
    assert_teacher_is_constant(loss, STUDENT_MAP, TEACHER_MAP)


@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_do_not_broadcast(loss):
    with pytest.raises(ValueError, match="shape"):
        loss(STUDENT_MAP, TEACHER_MAP[..., :1])


@pytest.mark.parametrize("batch_norm", ["true", "false"])
def test_the_paraphraser_learns_alone_and_is_frozen_then(batch_norm):
    distiller = build("ft", [f"method.batch_norm={batch_norm}"])
    paraphraser, main = distiller.stages()
    assert (paraphraser.share, paraphraser.learning_rate, paraphraser.learning_rate_scale) == (0.3, "constant", 1.0)
    student = values(distiller.student)
    one_step(distiller, paraphraser)
    np.testing.assert_array_equal(values(distiller.student), student)
    frozen = values(distiller.encoder), values(distiller.decoder)
    one_step(distiller, main)
    np.testing.assert_array_equal(values(distiller.encoder), frozen[0])
    np.testing.assert_array_equal(values(distiller.decoder), frozen[1])


def test_the_networks_are_the_authors():
    distiller = build("ft")
    shapes = [tuple(v.shape) for v in distiller.encoder.variables]
    assert shapes == [(3, 3, 64, 64), (64,), (3, 3, 64, 32), (32,), (3, 3, 32, 32), (32,)]
    shapes = [tuple(v.shape) for v in distiller.translator.variables]
    assert shapes == [(3, 3, 32, 32), (32,), (3, 3, 32, 32), (32,), (3, 3, 32, 32), (32,)]
    # A transposed convolution's kernel ends with its input's channels.
    shapes = [tuple(v.shape) for v in distiller.decoder.variables]
    assert shapes == [(3, 3, 32, 32), (32,), (3, 3, 64, 32), (64,), (3, 3, 64, 64), (64,)]
    assert [layer.negative_slope for layer in distiller.encoder.layers[2::2]] == pytest.approx([0.1] * 3)


@pytest.mark.parametrize("stem_stride", [1, 2])
def test_the_larger_map_is_pooled(stem_stride):
    distiller = build("ft", stem_stride=stem_stride)
    assert distiller.encoder.output.shape[1:3] == distiller.translator.output.shape[1:3] == (2 // stem_stride,) * 2
    for stage in distiller.stages():
        one_step(distiller, stage)


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="3x3 and 2x2"):
        build("ft", shape=(9, 9, 1), stem_stride=2)


def test_a_factor_without_channels_is_refused():
    with pytest.raises(ConfigError, match=r"method.rate=0.001.*64 channels"):
        build("ft", ["method.rate=0.001"])
