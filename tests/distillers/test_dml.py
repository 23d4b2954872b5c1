import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import references
from helpers.golden import STUDENT_LOGITS, TEACHER_LOGITS
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import build, one_step, small_batch

from kd_bench.distillers.base import Distiller, cross_entropy
from kd_bench.distillers.dml import mutual_learning_loss
from kd_bench.training.optimizers import adam, sgd

SCHEDULE = {"weight_decay": 5e-4, "decay_at": [0.5], "decay_factor": 0.2}
OPTIMIZERS = {
    "sgd": lambda: sgd(4, learning_rate=0.1, momentum=0.9, nesterov=True, **SCHEDULE),
    "adam": lambda: adam(4, learning_rate=0.01, beta_1=0.9, beta_2=0.999, **SCHEDULE),
}


def divergence(own, peer, temperature=1.0):
    """T**2 * KL(peer || own) in plain NumPy."""
    log_p, log_q = (references.log_softmax(logits / temperature) for logits in (peer, own))
    return temperature**2 * sum((np.exp(p) * (p - q)).sum() for p, q in zip(log_p, log_q, strict=True)) / len(own)


def test_golden_values():
    found = mutual_learning_loss(STUDENT_LOGITS, TEACHER_LOGITS)
    assert float(found) == pytest.approx(0.15295555866004, rel=1e-12)
    swapped = mutual_learning_loss(TEACHER_LOGITS, STUDENT_LOGITS)
    assert float(swapped) == pytest.approx(0.14138513169869, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("shape", [(1, 2), (4, 5)])
def test_agrees_with_the_equation(shape, temperature, generator):
    own, peer = 2 * generator.normal(size=(2, *shape))
    assert_agrees(
        lambda a, b: mutual_learning_loss(a, b, temperature), lambda a, b: divergence(a, b, temperature), [own], [peer]
    )


def test_certain_and_equal_predictions_are_finite():
    certain = np.array([[400.0, 0.0], [0.0, 400.0]], np.float32)
    pairs = [(certain, certain), (certain, certain[::-1]), (0 * certain, certain), (certain, 0 * certain)]
    assert_finite(mutual_learning_loss, *(([own], [peer]) for own, peer in pairs))
    assert float(mutual_learning_loss(certain, certain[::-1])) == pytest.approx(400)


def test_the_other_network_is_constant():
    assert_teacher_is_constant(mutual_learning_loss, STUDENT_LOGITS, TEACHER_LOGITS)


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="shape"):
        mutual_learning_loss(STUDENT_LOGITS, TEACHER_LOGITS[:1])


def values(network):
    return np.concatenate([variable.numpy().ravel() for variable in network.variables])


def separately(optimizer, sequential, steps):
    """Both networks after some steps, each trained by an optimizer and a tape of its own, straight from the paper."""
    start = build("dml")
    networks = [start.student, start.peer]
    optimizers = [OPTIMIZERS[optimizer]() for _ in networks]
    images, labels, _ = small_batch()
    for _ in range(steps):
        target = None
        for own, other in ((0, 1), (1, 0)):
            trained = networks[own].trainable_variables
            with tf.GradientTape() as tape:
                logits = networks[own](images, training=True)["logits"]
                if target is None:
                    target = quietly(networks[other], images)
                loss = cross_entropy(labels, logits) + mutual_learning_loss(logits, target)
            gradients = tape.gradient(loss, [variable.value for variable in trained])
            before = tf.identity(logits)
            optimizers[own].apply(gradients, trained)
            target = quietly(networks[own], images) if sequential else before
    return [values(network) for network in networks]


def quietly(network, images):
    """Returns a network's logits on batch statistics, its moving ones put back."""
    kept = [variable.numpy() for variable in network.non_trainable_variables]
    logits = network(images, training=True)["logits"]
    for variable, old in zip(network.non_trainable_variables, kept, strict=True):
        variable.assign(old)
    return logits


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("sequential", [False, True])
def test_steps_are_those_of_two_networks_with_an_optimizer_each(sequential, optimizer):
    distiller = build("dml", [f"method.sequential={str(sequential).lower()}"])
    distiller.begin(distiller.stages()[0], OPTIMIZERS[optimizer](), 1, 4, jit_compile=False)
    step = tf.function(distiller.train_step, autograph=False)
    for _ in range(4):
        step(small_batch())
    assert int(distiller.optimizer.iterations) == 4
    # Adam divides by the gradient's size: where that is rounding, so is the step.
    tolerance = {"sgd": 1e-5, "adam": 1e-3}[optimizer]
    expected = separately(optimizer, sequential, 4)
    for network, value in zip((distiller.student, distiller.peer), expected, strict=True):
        np.testing.assert_allclose(values(network), value, atol=tolerance)


@pytest.mark.parametrize("sequential", [False, True])
def test_the_order_of_the_updates_matters_to_the_peer_alone(sequential):
    found = build("dml", [f"method.sequential={str(sequential).lower()}"])
    logs = one_step(found, found.stages()[0])
    other = build("dml", [f"method.sequential={str(not sequential).lower()}"])
    other_logs = one_step(other, other.stages()[0])
    np.testing.assert_allclose(values(found.student), values(other.student), atol=1e-6)
    assert np.abs(values(found.peer) - values(other.peer)).max() > 1e-5
    assert logs["peer_task"] == pytest.approx(other_logs["peer_task"], rel=1e-5)
    assert logs["peer_distill"] != pytest.approx(other_logs["peer_distill"], rel=1e-3)


@pytest.mark.parametrize("sequential", ["false", "true"])
def test_a_step_moves_both_networks_and_both_moving_statistics(sequential):
    distiller = build("dml", [f"method.sequential={sequential}"])
    before = {id(variable): variable.numpy() for variable in distiller.variables}
    logs = one_step(distiller, distiller.stages()[0])
    assert set(logs) == {"loss", "task", "distill", "peer_task", "peer_distill"}
    assert logs["loss"] == pytest.approx(sum(logs.values()) - logs["loss"], rel=1e-5)
    for network in (distiller.student, distiller.peer):
        for variable in network.variables:
            assert not np.array_equal(before[id(variable)], variable.numpy()), variable.path


def test_a_sequential_step_compiles():
    distiller = build("dml", ["method.sequential=true"])
    distiller.begin(distiller.stages()[0], OPTIMIZERS["sgd"](), 1, 1, jit_compile=True)
    logs = tf.function(distiller.train_step, jit_compile=True, autograph=False)(small_batch())
    assert all(np.isfinite(float(value)) for value in logs.values())


def test_the_peer_is_the_second_network_and_other_methods_have_none():
    distiller = build("dml")
    assert distiller.peer is distiller.teacher
    assert distiller.peer is not distiller.student
    assert Distiller(keras.Sequential(), None).peer is None
