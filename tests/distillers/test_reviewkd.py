import numpy as np
import pytest
import tensorflow as tf
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import batch_of, build, small_batch

from kd_bench.distillers.reviewkd import context_loss, hierarchical_context_loss, levels


def pooled(maps, size):
    """Windows from floor(i * h / size) to ceil((i + 1) * h / size)."""
    height, width = maps.shape[1:3]

    def bounds(length, i):
        return slice(i * length // size, -(-(i + 1) * length // size))

    rows = [[maps[:, bounds(height, i), bounds(width, j)].mean((1, 2)) for j in range(size)] for i in range(size)]
    return np.array(rows)


def reference(student, teacher):
    weight, total = 1.0, 1.0
    loss = np.mean((student - teacher) ** 2)
    for size in (4, 2, 1):
        if size < min(student.shape[1:3]):
            weight /= 2
            total += weight
            loss += weight * np.mean((pooled(student, size) - pooled(teacher, size)) ** 2)
    return loss / total


def test_golden_value():
    student = np.array([[[[1.0], [2.0]], [[3.0], [6.0]]]])
    assert float(context_loss(student, np.zeros_like(student))) == pytest.approx((50 / 4 + 9 / 2) / 1.5)


@pytest.mark.parametrize("size", [1, 2, 4, 5, 8])
def test_agrees_with_the_authors_definition(size, generator):
    student, teacher = generator.normal(size=(2, 2, size, size, 2))
    assert_agrees(context_loss, reference, [student], [teacher])


def test_the_levels_are_added(generator):
    students, teachers = ([generator.normal(size=(2, size, size, 3)) for size in (4, 2, 1)] for _ in range(2))
    assert_agrees(
        hierarchical_context_loss,
        lambda s, t: sum(reference(*pair) for pair in zip(s, t, strict=True)),
        [students],
        [teachers],
    )


def test_degenerate_maps_are_finite(generator):
    spread = generator.normal(size=(2, 4, 4, 3)).astype(np.float32)
    zeros = np.zeros_like(spread)
    assert_finite(context_loss, *(([own], [theirs]) for own, theirs in ((zeros, spread), (zeros, zeros))))


def test_teacher_is_constant(generator):
    assert_teacher_is_constant(context_loss, *generator.normal(size=(2, 2, 4, 4, 3)))


def test_shapes_do_not_broadcast(generator):
    with pytest.raises(ValueError, match="context_loss"):
        context_loss(generator.normal(size=(2, 2, 2, 3)), generator.normal(size=(2, 1, 1, 3)))


def test_the_fused_maps_have_the_teachers_shapes():
    distiller = build("reviewkd")
    batch = batch_of(distiller)
    fused = distiller.review(levels(batch.student, "passed"))
    assert [maps.shape for maps in fused] == [maps.shape for maps in levels(batch.teacher, "pre")]
    assert fused[-1].shape == (8, 1, 1, 64)


def test_a_shallow_map_depends_on_the_deeper_levels_and_a_deep_one_not_on_the_shallower():
    distiller = build("reviewkd")
    inputs = [tf.Variable(maps) for maps in levels(distiller.student(small_batch()[0]), "passed")]
    with tf.GradientTape(persistent=True) as tape:
        shallow, *_, deep = distiller.review(inputs)
        shallow, deep = tf.reduce_sum(shallow**2), tf.reduce_sum(deep**2)
    reached = [[gradient is not None for gradient in tape.gradient(maps, inputs)] for maps in (shallow, deep)]
    assert reached == [[True] * 4, [False, False, False, True]]


def test_the_weight_rises_from_a_twentieth_to_one():
    distiller = build("reviewkd", ["method.warmup_share=1/2"])

    def loss(step):
        return float(distiller.distillation_loss(batch_of(distiller, step, 100)))

    whole = loss(50)
    batch = batch_of(distiller)
    fused = distiller.review(levels(batch.student, "passed"), training=True)
    pairs = zip(fused, levels(batch.teacher, "pre"), strict=True)
    assert whole == pytest.approx(5 * sum(reference(own.numpy(), theirs.numpy()) for own, theirs in pairs), rel=1e-4)
    assert loss(0) == pytest.approx(whole / 20, rel=1e-4)
