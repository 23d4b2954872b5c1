import numpy as np
import pytest
from helpers import references
from helpers.golden import STUDENT_MAP, TEACHER_MAP
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import batch_of, build, one_step

from kd_bench.distillers.ab import activation_boundary_loss
from kd_bench.errors import ConfigError


def activation_boundary(student, teacher, margin=1.0):
    total = 0.0
    for s, t in zip(student.ravel(), teacher.ravel(), strict=True):
        total += (t > 0) * max(margin - s, 0.0) ** 2 + (t <= 0) * max(margin + s, 0.0) ** 2
    return total / len(student)


def test_golden_value():
    assert float(activation_boundary_loss(STUDENT_MAP, TEACHER_MAP)) == pytest.approx(71.5671456316109, rel=1e-12)


@pytest.mark.parametrize("margin", [0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 4)])
def test_agrees_with_the_equation(shape, margin, generator):
    student, teacher = generator.normal(size=(2, *shape))
    assert_agrees(
        lambda s, t: activation_boundary_loss(s, t, margin),
        lambda s, t: activation_boundary(s, t, margin),
        [student],
        [teacher],
    )


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [(0.5, 0.0, 2.25), (0.5, -0.1, 2.25), (0.5, 0.1, 0.25), (-1.0, 0.0, 0.0), (1.0, 9.0, 0.0), (-1.0, 9.0, 4.0)],
)
def test_the_hinge_by_hand_and_a_neuron_at_zero_is_off(student, teacher, expected):
    maps = np.full((1, 1, 1, 1), student), np.full((1, 1, 1, 1), teacher)
    assert float(activation_boundary_loss(*maps)) == pytest.approx(expected)


def test_degenerate_maps_are_finite():
    maps = STUDENT_MAP.astype(np.float32)
    pairs = [(0 * maps, 0 * maps), (0 * maps, maps), (maps, maps), (1e4 * maps, -maps)]
    assert_finite(activation_boundary_loss, *(([student], [teacher]) for student, teacher in pairs))


def test_a_large_sum_does_not_overflow_half_precision():
    student, teacher = np.full((1, 32, 32, 64), 2, np.float16), np.full((1, 32, 32, 64), -1, np.float16)
    assert float(activation_boundary_loss(student, teacher)) == 9 * 32 * 32 * 64


def test_only_the_sign_of_the_teacher_matters():
    changed = TEACHER_MAP * np.linspace(0.1, 7.0, TEACHER_MAP.size).reshape(TEACHER_MAP.shape)
    expected = float(activation_boundary_loss(STUDENT_MAP, TEACHER_MAP))
    assert float(activation_boundary_loss(STUDENT_MAP, changed)) == expected


def test_teacher_is_constant():
    assert_teacher_is_constant(activation_boundary_loss, STUDENT_MAP, TEACHER_MAP)


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="shape"):
        activation_boundary_loss(STUDENT_MAP, TEACHER_MAP[..., :1])


def test_levels_are_weighted_by_a_quarter_a_half_and_one():
    """On 32x32 images, where the weight is the authors'."""
    distiller = build("ab", shape=(32, 32, 1), width=1)
    batch = batch_of(distiller, size=4, shape=(32, 32, 1))
    own, theirs = (
        [feature.numpy().astype(float) for feature in outputs["pre"]] for outputs in (batch.student, batch.teacher)
    )
    levels = [activation_boundary(*maps) for maps in zip(own, theirs, strict=True)]
    expected = 3e-3 * (levels[0] / 4 + levels[1] / 2 + levels[2])
    assert float(distiller.boundary_loss(batch)) == pytest.approx(expected, rel=1e-4)


def test_connectors_only_where_channels_differ_or_by_force():
    def trained(distiller):
        return len(distiller.connectors.trainable_variables)

    assert trained(build("ab", width=2)) == 9
    assert trained(build("ab", width=1)) == 0
    assert trained(build("ab", ["method.force_connectors=true"], width=1)) == 9


def test_the_first_stage_trains_all_but_the_classifier():
    distiller = build("ab", width=1)
    boundary, _ = distiller.stages()
    assert (boundary.share, boundary.learning_rate, boundary.learning_rate_scale) == (0.3, "constant", 1.0)
    trained = {id(variable) for variable in boundary.variables}
    left = [v.path for v in distiller.student.trainable_variables if id(v) not in trained]
    assert left == ["logits/kernel", "logits/bias"]


def test_the_last_batch_norm_gathers_statistics_in_the_first_stage():
    distiller = build("ab")
    last = [variable for variable in distiller.student.variables if "moving_mean" in variable.path][-1]
    before = last.numpy()
    one_step(distiller, distiller.stages()[0])
    assert not np.array_equal(last.numpy(), before)


def test_soft_targets_alone_are_the_authors_second_stage():
    distiller = build("ab", ["method.stage2=kd"])
    main = distiller.stages()[-1]
    assert list(main.losses) == ["distill"]
    batch = batch_of(distiller)
    logits = [np.asarray(outputs["logits"], float) for outputs in (batch.student, batch.teacher)]
    expected = references.soft_logits(*logits, 3.0) / 9
    assert one_step(distiller, main)["distill"] == pytest.approx(expected, rel=1e-3)


def test_sizes_that_differ_are_refused():
    with pytest.raises(ConfigError, match=r"AB: .*\(8, 8, 8\).*\(4, 4, 16\)"):
        build("ab", stem_stride=2)
