import keras
import numpy as np
import pytest
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import build, one_step, small_batch
from scipy import integrate

from kd_bench.distillers.co import ComprehensiveOverhaul, batch_norm_of, co_loss, margin_from_bn, partial_l2
from kd_bench.errors import ConfigError
from kd_bench.networks.wide_resnet import wide_resnet

SIZES = {"depth": 10, "width": 1, "stem_channels": 8}


def partial_l2_reference(student, teacher, margin):
    """Term by term, as the paper's three cases have it."""
    total = 0.0
    for place in np.ndindex(student.shape):
        own, target = student[place], max(teacher[place], margin[place[-1]])
        total += 0.0 if own <= target <= 0 else (target - own) ** 2
    return total / len(student)


def co_reference(students, teachers, margins):
    points = list(zip(students, teachers, margins, strict=True))
    return sum(partial_l2_reference(*point) * 0.5 ** (len(points) - 1 - level) for level, point in enumerate(points))


def test_golden_margins():
    found = margin_from_bn(np.array([1.0, 1, -0.5, 2, 1, 1]), np.array([0.0, 2, -0.3, -4, 3.09, 3.1]))
    assert found.dtype == np.float64
    golden = [-0.797885, -0.373216, -0.529574, -4.110496]
    np.testing.assert_allclose(found, [*golden, -0.2769, -3.0], atol=5e-5)
    np.testing.assert_allclose(found[:4], golden, atol=5e-7)


@pytest.mark.parametrize(("gamma", "beta"), [(1.0, 0.0), (-0.7, 0.9), (0.3, -1.2), (2.0, 3.0)])
def test_the_margin_is_the_mean_of_the_negative_values(gamma, beta):
    def density(x):
        return np.exp(-((x - beta) ** 2) / (2 * gamma**2))

    low = beta - 12 * abs(gamma)
    mean = integrate.quad(lambda x: x * density(x), low, 0)[0] / integrate.quad(density, low, 0)[0]
    assert margin_from_bn(np.array([gamma]), np.array([beta]))[0] == pytest.approx(mean, rel=1e-7)


def test_a_margin_is_finite_and_negative_whatever_the_batch_norm():
    gamma, beta = np.meshgrid([0.0, 1e-30, -1e-8, 1.0, 1e6], [0.0, -1e-30, 1e-3, -1.0, 50.0, -50.0])
    margins = margin_from_bn(gamma.ravel(), beta.ravel())
    assert np.isfinite(margins).all()
    assert (margins < 0).all()


def test_golden_terms():
    student, teacher = np.array([-2, -0.5, -0.1, 0.4, 1.5]), np.array([-1.5, -1.5, -0.2, -0.2, 1])
    each = [float(partial_l2(np.full((1, 1, 1, 1), s), np.full((1, 1, 1, 1), t), [-0.8]))
            for s, t in zip(student, teacher, strict=True)]  # fmt: skip
    assert each == pytest.approx([0, 0.09, 0.01, 0.36, 0.25])
    whole = partial_l2(student.reshape(1, 1, 5, 1), teacher.reshape(1, 1, 5, 1), np.array([-0.8]))
    assert float(whole) == pytest.approx(0.71)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 3, 4)])
def test_agrees_with_the_equation(shape, generator):
    student, teacher = generator.normal(size=(2, *shape))
    margin = -generator.uniform(0.1, 1, size=shape[-1])
    assert_agrees(partial_l2, partial_l2_reference, [student], [teacher, margin])


def test_points_count_half_as_much_as_the_next_deeper_one(generator):
    shapes = [(2, 3, 3, 2), (2, 2, 2, 3), (2, 1, 1, 4)]
    students, teachers = ([generator.normal(size=shape) for shape in shapes] for _ in range(2))
    margins = [-generator.uniform(0.1, 1, size=shape[-1]) for shape in shapes]
    assert_agrees(lambda s, t: co_loss(s, t, margins), lambda s, t: co_reference(s, t, margins), [students], [teachers])


def test_degenerate_maps_are_finite(generator):
    maps = generator.normal(size=(2, 3, 3, 4)).astype(np.float32)
    margin = np.full(4, -0.5)
    pairs = [(0 * maps, maps), (maps, 0 * maps), (0 * maps, 0 * maps), (maps, maps)]
    assert_finite(partial_l2, *(([student], [teacher, margin]) for student, teacher in pairs))


def test_teacher_is_constant(generator):
    assert_teacher_is_constant(partial_l2, *generator.normal(size=(2, 2, 3, 3, 4)), np.full(4, -0.5))


def test_shapes_do_not_broadcast(generator):
    with pytest.raises(ValueError, match="shape"):
        partial_l2(generator.normal(size=(2, 3, 3, 4)), generator.normal(size=(2, 3, 3, 1)), np.full(4, -0.5))


def trained_teacher(generator):
    """A distiller whose teacher had other values than the initial ones when the distiller was made."""
    keras.utils.set_random_seed(0)
    teacher, student = (wide_resnet((8, 8, 1), 10, stem_stride=1, **SIZES) for _ in range(2))
    for variable in teacher.variables:
        offset = generator.uniform(0.2, 0.7, size=variable.shape)
        variable.assign(variable + offset.astype(np.float32))
    return ComprehensiveOverhaul(student, teacher, alpha=1e-3, area_scaling=False, teacher_statistics="batch"), teacher


def test_margins_are_those_of_the_batch_norm_that_makes_each_map(generator):
    distiller, teacher = trained_teacher(generator)
    outputs = keras.Model(teacher.inputs, teacher.output["pre"])(small_batch(64)[0], training=True)
    for feature, margin, layer in zip(
        outputs, distiller.margins, map(batch_norm_of, teacher.output["pre"]), strict=True
    ):
        np.testing.assert_array_equal(margin, margin_from_bn(layer.gamma.numpy(), layer.beta.numpy()))
        # On batch statistics a channel has mean beta and deviation |gamma|, but for batch norm's epsilon.
        feature = feature.numpy()
        np.testing.assert_allclose(feature.mean(axis=(0, 1, 2)), layer.beta.numpy(), atol=1e-4)
        np.testing.assert_allclose(feature.std(axis=(0, 1, 2)), layer.gamma.numpy(), rtol=1e-2)


def test_a_sum_of_two_branches_has_the_margins_of_the_residual_one():
    features = keras.Input((4, 4, 2))
    shortcut, residual = keras.layers.BatchNormalization(), keras.layers.BatchNormalization()
    assert batch_norm_of(keras.layers.Add()([shortcut(features), residual(features)])) is residual


def test_a_map_without_batch_norm_is_refused():
    features = keras.layers.ReLU(name="kink")(keras.Input((4, 4, 2)))
    with pytest.raises(ConfigError, match=r"\(4, 4, 2\).*kink"):
        batch_norm_of(features)


def test_sizes_that_differ_are_refused():
    student, teacher = (wide_resnet((8, 8, 1), 10, stem_stride=stride, **SIZES) for stride in (1, 2))
    with pytest.raises(ConfigError, match=r"\(8, 8, 8\).*\(4, 4, 8\)"):
        ComprehensiveOverhaul(student, teacher, alpha=1e-3, area_scaling=False, teacher_statistics="batch")


@pytest.mark.parametrize("statistics", ["batch", "inference"])
def test_the_teacher_runs_on_the_statistics_chosen_and_keeps_all_its_values(statistics, generator):
    distiller = build("co", [f"method.teacher_statistics={statistics}"])
    for layer in distiller.teacher.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(generator.normal(size=layer.moving_mean.shape))
    before = [variable.numpy() for variable in distiller.teacher.variables]
    images = small_batch()[0]
    found = distiller.run_teacher(images)["pre"][-1].numpy()
    one_step(distiller, distiller.stages()[0])
    for old, variable in zip(before, distiller.teacher.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    # By the batch's statistics a channel's mean is beta, 0 in a fresh network.
    assert np.allclose(found.mean(axis=(0, 1, 2)), 0, atol=1e-4) == (statistics == "batch")
    inference = distiller.teacher(images, training=False)["pre"][-1].numpy()
    assert np.array_equal(found, inference) == (statistics == "inference")


def test_connectors_have_the_fan_out_initialisation():
    distiller = build("co")
    kernel = distiller.connectors.trainable_variables[6].numpy()
    assert kernel.shape == (1, 1, 32, 64)
    assert kernel.std() == pytest.approx(np.sqrt(2 / 64), rel=0.05)
    assert np.abs(kernel).max() > 2.5 * np.sqrt(2 / 64), "the normal distribution is truncated"
