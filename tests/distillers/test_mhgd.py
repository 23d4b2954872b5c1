import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.losses import assert_agrees, assert_finite, assert_teacher_is_constant
from helpers.methods import build, one_step, small_batch
from helpers.vectors import degenerate_pairs, distilled, post_relu

from kd_bench.distillers.mhgd import (
    GraphAttention,
    attention_logits,
    attention_loss,
    drop_head,
    graph_kl,
    mhgd_vectors,
)
from kd_bench.training.optimizers import sgd


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def kl(student, teacher):
    total = 0.0
    for own, theirs in zip(student, teacher, strict=True):
        p, q = softmax(np.tanh(own)), softmax(np.tanh(theirs))
        total += (p * (np.log(p) - np.log(q))).sum()
    return total


def cosine(predicted, target):
    return sum(1 - own @ theirs for own, theirs in zip(predicted, target, strict=True)) / len(target)


def normalised(layer, batch):
    """Returns the batch through a dense layer and a batch norm on the batch's own statistics."""
    dense, norm = layer.layers
    projected = batch @ dense.kernel.numpy()
    projected = (projected - projected.mean(axis=0)) / np.sqrt(projected.var(axis=0) + 1e-5)
    return projected * norm.gamma.numpy() + (norm.beta.numpy() if norm.center else 0)


def head_logits(keys, queries, heads):
    """Returns S[a,i,j] = sum_c k[i,c,a] q[j,c,a], the head being the fastest axis."""
    return np.stack([keys[:, head::heads] @ queries[:, head::heads].T for head in range(heads)])


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 4, 4)])
def test_graph_divergence_agrees_with_the_equation(shape, generator):
    student, teacher = 2 * generator.normal(size=(2, *shape))
    assert_agrees(graph_kl, kl, [student], [teacher])


def test_attention_loss_agrees_with_the_equation(generator):
    predicted, target = generator.normal(size=(2, 4, 5))
    assert_agrees(attention_loss, cosine, [predicted], [target])


def test_graph_divergence_is_a_divergence(generator):
    student, teacher = generator.normal(size=(2, 2, 5, 5))
    assert float(graph_kl(student, student)) == pytest.approx(0, abs=1e-12)
    assert float(graph_kl(student, teacher)) > 0
    assert float(graph_kl(student + 100, teacher + 100)) == pytest.approx(0, abs=1e-12)  # tanh saturates


def test_degenerate_graphs_are_finite():
    zeros = np.zeros((2, 3, 3), np.float32)
    teacher = zeros + 1e4 * np.eye(3, dtype=np.float32)
    assert_finite(graph_kl, *(([student], [teacher]) for student in (zeros, zeros + 1e4, zeros - 1e4)))


def test_teacher_is_constant(generator):
    student, teacher = generator.normal(size=(2, 2, 3, 3))
    assert_teacher_is_constant(graph_kl, student, teacher)
    assert_teacher_is_constant(attention_loss, student[0], teacher[0])


def test_shapes_do_not_broadcast():
    with pytest.raises(ValueError, match="shape"):
        graph_kl(np.ones((2, 3, 3)), np.ones((1, 3, 3)))
    with pytest.raises(ValueError, match="shape"):
        attention_loss(np.ones((2, 3)), np.ones((2, 1)))


def test_logits_have_the_head_as_the_fastest_axis(generator):
    keys, queries = generator.normal(size=(2, 4, 6))
    np.testing.assert_allclose(attention_logits(keys, queries, 3), head_logits(keys, queries, 3))


@pytest.mark.parametrize("heads", [1, 8])
def test_drop_head_keeps_some_head_of_every_row_unscaled(heads, generator):
    graph, noise = generator.random((heads, 50, 4)) + 1, generator.normal(size=(heads, 50, 1))
    kept = noise[..., 0] >= noise[..., 0].mean(axis=0)
    dropped = drop_head(graph, noise).numpy()
    np.testing.assert_array_equal(dropped, graph * kept[..., None])
    assert kept.any(axis=0).all()
    assert heads == 1 or 0.4 < kept.mean() < 0.6


def test_prediction_agrees_with_the_equations(generator):
    keras.utils.set_random_seed(0)
    attention = GraphAttention(shallow=3, deep=5, heads=2)
    for variable in attention.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    shallow, deep = generator.normal(size=(6, 3)), generator.normal(size=(6, 5))
    noise = generator.normal(size=(2, 6, 1))
    logits = head_logits(normalised(attention.keys, deep), normalised(attention.queries, shallow), 2)
    graph = softmax(logits) * (noise >= noise.mean(axis=0))
    hidden = np.maximum(normalised(attention.values, shallow), 0)
    output = attention.prediction.layers[-1]
    predicted = np.concatenate([one @ hidden for one in graph], axis=1) @ output.kernel.numpy() + output.bias.numpy()
    expected = predicted / np.linalg.norm(predicted, axis=1, keepdims=True)
    constants = [tf.constant(array, tf.float32) for array in (shallow, deep, noise)]
    np.testing.assert_allclose(attention.logits(*constants[:2], training=True), logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(attention.predict(*constants), expected, atol=1e-3)


def test_vectors_are_the_samples_own_and_the_students_aligned(generator):
    students, teachers = (post_relu(generator, (3, 2, 2, 4), (3, 1, 2, 5)) for _ in range(2))
    found = mhgd_vectors(students, teachers)
    for side in range(2):
        for point, batch in enumerate(found[side]):
            pairs = zip(students[point], teachers[point], strict=True)
            expected = [distilled(*pair, k=1, extra=3)[side][0] for pair in pairs]
            np.testing.assert_allclose(batch, expected, atol=1e-10)


def test_dead_and_identical_maps_are_finite(generator):
    students, teachers = degenerate_pairs(generator)
    keras.utils.set_random_seed(0)
    attention = GraphAttention(shallow=4, deep=6, heads=2)

    def loss(own, theirs):
        graphs = [attention.logits(*side, training=False) for side in mhgd_vectors(own, theirs)]
        return graph_kl(*graphs)

    assert_finite(loss, ([students], [teachers]), ([[0 * maps for maps in students]], [teachers]))


@pytest.fixture
def distiller():
    return build("mhgd")


def values(variables):
    return [variable.numpy().copy() for variable in variables]


def all_equal(before, variables):
    return all(np.array_equal(old, new) for old, new in zip(before, values(variables), strict=True))


def test_the_student_rests_in_the_attention_stage_and_the_attention_in_the_main_stage(distiller):
    attention = [variable for network in distiller.attention for variable in network.variables]
    first, second = distiller.stages()
    before = values(distiller.student.variables)
    one_step(distiller, first)
    assert all_equal(before, distiller.student.variables)
    before = values(attention)
    one_step(distiller, second)
    assert all_equal(before, attention)


def test_the_attention_networks_decay_is_in_its_loss_and_not_the_protocols(distiller):
    stage = distiller.stages()[0]
    squares = sum((variable.numpy() ** 2).sum() for variable in stage.variables)
    assert one_step(distiller, stage)["decay"] == pytest.approx(5e-4 * squares, rel=1e-4)

    def after(weight_decay):
        fresh = build("mhgd")
        optimizer = sgd(
            None, learning_rate=0.1, momentum=0.9, nesterov=True, weight_decay=weight_decay, decay_at=[], decay_factor=1
        )
        fresh.noise_seed = 0
        fresh.begin(fresh.stages()[0], optimizer, 1, 1, jit_compile=False)
        tf.function(fresh.train_step, autograph=False)(small_batch())
        return values(fresh.stages()[0].variables)

    for one, two in zip(after(0.0), after(0.1), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_noise_is_another_at_each_step_and_pair_and_the_same_for_a_seed(distiller):
    distiller.begin(distiller.stages()[0], keras.optimizers.SGD(0.1), 1, 1)
    first, other = distiller._noise(0, 4).numpy(), distiller._noise(1, 4).numpy()
    assert first.shape == (8, 4, 1)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first, distiller._noise(0, 4))
    distiller.optimizer.iterations.assign_add(1)
    assert not np.array_equal(first, distiller._noise(0, 4))
    assert build("mhgd").noise_seed == distiller.noise_seed


def test_the_attention_learns_to_predict_the_teacher(distiller):
    distiller.begin(distiller.stages()[0], keras.optimizers.SGD(0.1, momentum=0.9), 1, 50, jit_compile=False)
    step = tf.function(distiller.train_step, autograph=False)
    batch = small_batch(32)
    first = float(step(batch)["attention"])
    for _ in range(29):
        distiller.reset_metrics()
        last = float(step(batch)["attention"])
    assert last < 0.5 * first


def test_saturated_attention_is_a_warning_and_other_is_none(distiller):
    distiller.saturated.update_state([0.0, 0.0, 1.0])
    assert distiller.warnings() == []
    distiller.saturated.update_state([1.0, 1.0, 1.0])
    (warning,) = distiller.warnings()
    assert "67%" in warning
    assert "method.attention_min_steps" in warning
