import itertools

import numpy as np
import pytest
import tensorflow as tf
from helpers.golden import STUDENT_MAP, TEACHER_MAP
from helpers.losses import assert_agrees, assert_finite
from helpers.methods import build, small_batch

from kd_bench.distillers.vid import vid_initial_raw_variance, vid_loss
from kd_bench.errors import ConfigError
from kd_bench.training.optimizers import sgd

INITIAL = 4.9932291827136


def vid(mean, raw_variance, teacher, eps=1e-5):
    total = 0.0
    for channel, raw in enumerate(raw_variance):
        variance = np.log(1 + np.exp(raw)) + eps
        residual = teacher[..., channel] - mean[..., channel]
        total += (residual**2 / variance + np.log(variance)).sum()
    return 0.5 * total / mean.size


def step(weight_decay):
    """Returns the distiller after one step with a weight decay."""
    distiller = build("vid")
    optimizer = sgd(
        None, learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=weight_decay, decay_at=[], decay_factor=1.0
    )
    distiller.begin(distiller.stages()[0], optimizer, 1, 1, jit_compile=False)
    tf.function(distiller.train_step, autograph=False)(small_batch())
    return distiller


def test_golden_values():
    assert vid_initial_raw_variance() == pytest.approx(INITIAL, rel=1e-13)
    start = np.full(3, vid_initial_raw_variance())
    assert float(vid_loss(STUDENT_MAP, start, TEACHER_MAP)) == pytest.approx(0.96270690842864, rel=1e-12)
    varied = np.array([-1.0, 0.0, 2.0])
    assert float(vid_loss(STUDENT_MAP, varied, TEACHER_MAP)) == pytest.approx(1.22616278869912, rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 4)])
def test_agrees_with_the_equation(shape, generator):
    mean, teacher = generator.normal(size=(2, *shape))
    raw_variance = generator.normal(size=shape[-1])
    assert_agrees(vid_loss, vid, [mean, raw_variance], [teacher])


def test_extreme_variances_and_dead_maps_are_finite():
    maps = STUDENT_MAP.astype(np.float32)
    pairs = [(0 * maps, 0 * maps), (0 * maps, maps), (maps, maps), (-maps, 100 * maps)]
    variances = [np.full(3, raw, np.float32) for raw in (-1e4, -100.0, 0.0, 100.0, 1e4)]
    assert_finite(vid_loss, *(([mean, raw], [teacher]) for (mean, teacher), raw in itertools.product(pairs, variances)))


def test_a_perfect_prediction_makes_a_negative_loss():
    assert float(vid_loss(TEACHER_MAP, np.full(3, -1e4), TEACHER_MAP)) == pytest.approx(0.5 * np.log(1e-5))


def test_teacher_is_constant():
    teacher = tf.constant(TEACHER_MAP)
    with tf.GradientTape() as tape:
        tape.watch(teacher)
        value = vid_loss(STUDENT_MAP, np.zeros(3), teacher)
    assert tape.gradient(value, teacher) is None


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="shape"):
        vid_loss(STUDENT_MAP, np.zeros(3), TEACHER_MAP[..., :1])


@pytest.mark.parametrize("variance", [0.01, 5.0, 1e5])
def test_the_initial_variance_is_what_was_asked_for(variance):
    raw = vid_initial_raw_variance(variance, 1e-5)
    assert np.logaddexp(0, raw) + 1e-5 == pytest.approx(variance, rel=1e-9)


def test_an_initial_variance_below_the_least_is_refused():
    with pytest.raises(ConfigError, match=r"method.initial_variance=1e-05.*method.eps=0.001"):
        build("vid", ["method.initial_variance=1e-5", "method.eps=1e-3"])


def test_a_mean_network_is_three_convolutions_of_the_teachers_channels():
    distiller = build("vid")
    first = [tuple(variable.shape) for variable in distiller.mean_networks[0].variables]
    assert first == [(1, 1, 8, 16), (1, 1, 16, 16), (1, 1, 16, 16)]
    assert all(variance.numpy() == pytest.approx(INITIAL) for variance in distiller.raw_variances)


def test_the_variances_learn_and_are_not_decayed():
    free, decayed = step(0.0), step(0.5)
    for one, other in zip(free.raw_variances, decayed.raw_variances, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
        assert not np.array_equal(one.numpy(), np.full_like(one.numpy(), INITIAL))
    for one, other in zip(free.mean_networks, decayed.mean_networks, strict=True):
        assert not np.array_equal(one.trainable_variables[0].numpy(), other.trainable_variables[0].numpy())


def test_sizes_that_differ_are_refused():
    with pytest.raises(ConfigError, match=r"VID: .*\(8, 8, 8\).*\(4, 4, 16\)"):
        build("vid", stem_stride=2)
