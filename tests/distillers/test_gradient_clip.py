import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.methods import batch_of, build, one_step, small_batch

from kd_bench.distillers.gradient_clip import clip_to_task


def clip(task, distill, tau=1.0):
    def constants(side):
        return [None if gradient is None else tf.constant(gradient) for gradient in side]

    return [
        None if gradient is None else gradient.numpy()
        for gradient in clip_to_task(constants(task), constants(distill), tau)
    ]


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_no_gradient_is_longer_than_the_tasks(tau):
    long, short = clip([[3.0, 4.0], [3.0, 4.0]], [[0.0, 100.0], [0.3, 0.4]], tau)
    np.testing.assert_allclose(long, [0.0, 5.0 * tau], rtol=1e-6)
    np.testing.assert_allclose(short, [0.3, 0.4])


def test_each_variable_is_clipped_by_itself():
    first, second = clip([[1.0], [100.0]], [[10.0], [10.0]])
    assert first == [1.0]
    assert second == [10.0]


def test_zeros_and_gradients_that_are_not_finite_become_zero():
    for task, distill in [([0.0], [0.0]), ([0.0], [2.0]), ([1.0], [0.0]), ([1.0], [np.nan]), ([1.0], [-np.inf])]:
        assert clip([task], [distill]) == [[0.0]]
    (whole,) = clip([[1.0, 1.0]], [[np.nan, 1.0]])
    assert (whole == 0).all()


def test_what_only_one_loss_reaches():
    connector, classifier = clip([None, [1.0]], [[7.0], None])
    assert connector == [7.0]
    assert classifier is None
    assert (clip([None], [[np.nan]])[0] == 0).all()


def combined(distiller, task, distill, epoch=0):
    batch = batch_of(distiller, epoch, 10)
    gradients = {"task": [tf.constant(task)], "distill": [tf.constant(distill)]}
    return float(distiller.combine_gradients(gradients, batch)[0])


def test_the_ramp_is_the_epochs_sigmoid():
    ramp, constant = build("kd_svd"), build("kd_svd", ["method.clip=constant"])
    for epoch in (0, 1, 5):
        assert combined(ramp, 2.0, 100.0, epoch) == pytest.approx(2 + 2 / (1 + np.exp(-epoch)))
        assert combined(constant, 2.0, 100.0, epoch) == pytest.approx(4.0)
    assert combined(ramp, 2.0, -0.5) == pytest.approx(1.5)


def test_dropped_gradients_are_counted():
    distiller = build("kd_svd")
    assert combined(distiller, 2.0, np.nan) == 2.0
    assert combined(distiller, 2.0, 1.0) == 3.0
    assert float(distiller.dropped.result()) == 0.5


def test_without_clip_the_step_follows_the_plain_sum():
    stage = build("kd_svd", ["method.clip=none"]).stages()[0]
    assert stage.combine_gradients is None


@pytest.mark.parametrize("method", ["kd_svd", "kd_eid", "mhgd"])
def test_the_clip_spares_connectors_and_holds_the_students_gradients(method, monkeypatch):
    distiller, seen = build(method, ["method.weight=1e6", "method.clip=constant"]), {}

    def watch(gradients, batch):
        seen.update(gradients, total=original(gradients, batch))
        return seen["total"]

    original = distiller.combine_gradients
    monkeypatch.setattr(distiller, "combine_gradients", watch)
    stage = distiller.stages()[-1]
    distiller.begin(stage, keras.optimizers.SGD(0.1), 1, 1, run_eagerly=True)
    distiller.train_step(small_batch())
    connectors = {id(v) for v in distiller.connectors.trainable_variables}
    assert connectors
    for variable, task, distill, total in zip(
        stage.variables, seen["task"], seen["distill"], seen["total"], strict=True
    ):
        if id(variable) in connectors:
            assert task is None
            np.testing.assert_array_equal(total, distill)
        elif distill is not None:
            assert tf.norm(total - task) <= 1.001 * tf.norm(task) + 1e-6


def test_equal_channels_have_no_connector():
    distiller = build("kd_eid", width=1)
    variables = distiller.connectors.variables
    assert not variables
    logs = one_step(distiller, distiller.stages()[-1])
    assert np.isfinite(logs["loss"])
