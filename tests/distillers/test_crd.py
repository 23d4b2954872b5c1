import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.losses import assert_agrees, assert_finite
from helpers.methods import LABELS, batch_of, build, one_step

from kd_bench.distillers.crd import (
    contrastive_loss,
    draw_weights,
    mean_similarity,
    similarities,
    unit,
    updated_bank,
)

ALL_LABELS = np.array([0, 1, 2, 1, 0, 2])
INDICES = np.array([4, 1])
NEGATIVES = 8


def negatives_of(index):
    return [other for other in range(len(ALL_LABELS)) if ALL_LABELS[other] != ALL_LABELS[index]]


def reference(scores):
    """Equation 18 with the mean over all draws of negatives, one image at a time."""
    noise, total = NEGATIVES / len(ALL_LABELS), 0.0
    for row, index in zip(scores, INDICES, strict=True):
        others = [np.log(noise / (row[other] + noise + 1e-7)) for other in negatives_of(index)]
        total -= np.log(row[index] / (row[index] + noise + 1e-7)) + NEGATIVES * np.mean(others)
    return total / len(scores)


def weights():
    return draw_weights(tf.constant(ALL_LABELS[INDICES]), tf.constant(ALL_LABELS), NEGATIVES)


def test_agrees_with_the_equation(generator):
    scores = generator.uniform(0.1, 3, size=(2, 6))
    assert_agrees(lambda s: contrastive_loss(s, INDICES, weights(), NEGATIVES), reference, [scores])


def test_it_is_the_mean_over_draws_of_the_authors_loss(generator):
    """Draws negatives as the authors do, and compares the mean of many draws."""
    scores, noise, losses = generator.uniform(0.1, 3, size=(2, 6)), NEGATIVES / 6, []
    for _ in range(20000):
        drawn = [generator.choice(negatives_of(index), NEGATIVES) for index in INDICES]
        positive = np.log(scores[[0, 1], INDICES] / (scores[[0, 1], INDICES] + noise + 1e-7))
        negative = [
            np.log(noise / (row[chosen] + noise + 1e-7)).sum() for row, chosen in zip(scores, drawn, strict=True)
        ]
        losses.append(-(positive + negative).mean())
    error = np.std(losses) / len(losses) ** 0.5
    found = float(contrastive_loss(scores, INDICES, weights(), NEGATIVES))
    assert found == pytest.approx(np.mean(losses), abs=4 * error)


def test_negatives_have_other_classes_and_one_class_has_none():
    found = weights().numpy()
    assert (found.sum(axis=1) == NEGATIVES).all()
    for row, index in zip(found, INDICES, strict=True):
        assert list(np.flatnonzero(row)) == negatives_of(index)
    assert not draw_weights(tf.zeros(2, tf.int32), tf.zeros(6, tf.int32), NEGATIVES).numpy().any()


def test_the_normaliser_is_the_mean_over_one_positive_and_the_draws(generator):
    scores = generator.uniform(0.1, 3, size=(2, 6))
    rows = [
        (row[index] + NEGATIVES * row[negatives_of(index)].mean()) / (NEGATIVES + 1)
        for row, index in zip(scores, INDICES, strict=True)
    ]
    assert float(mean_similarity(scores, INDICES, weights(), NEGATIVES)) == pytest.approx(np.mean(rows))


def test_the_bank_gets_no_gradient_and_the_anchor_does(generator):
    anchors, bank = (tf.constant(generator.normal(size=(count, 3))) for count in (2, 6))
    with tf.GradientTape() as tape:
        tape.watch([anchors, bank])
        value = tf.reduce_sum(similarities(anchors, bank, 0.5))
    of_anchors, of_bank = tape.gradient(value, [anchors, bank])
    assert of_bank is None
    assert np.abs(of_anchors).min() > 0


def test_an_entry_moves_towards_its_embedding_and_the_others_stay(generator):
    bank = unit(generator.normal(size=(6, 3))).numpy()
    embeddings = unit(generator.normal(size=(2, 3))).numpy()
    found = updated_bank(tf.constant(bank), tf.constant(INDICES), tf.constant(embeddings), 0.25).numpy()
    for index, embedding in zip(INDICES, embeddings, strict=True):
        mixed = 0.25 * bank[index] + 0.75 * embedding
        np.testing.assert_allclose(found[index], mixed / np.linalg.norm(mixed), rtol=1e-6)
    others = np.delete(np.arange(6), INDICES)
    np.testing.assert_array_equal(found[others], bank[others])


def test_degenerate_embeddings_are_finite(generator):
    bank = unit(generator.normal(size=(6, 3))).numpy().astype(np.float32)
    spread = generator.normal(size=(2, 3)).astype(np.float32)

    def loss(embeddings, entries):
        scores = similarities(unit(embeddings), entries, 0.07)
        return contrastive_loss(scores, INDICES, weights(), NEGATIVES)

    cases = [(spread, bank), (0 * spread, bank), (1e15 * spread, bank), (bank[INDICES], bank), (-bank[INDICES], bank)]
    assert_finite(loss, *(([embeddings], [entries]) for embeddings, entries in cases))


def test_the_term_compares_each_network_with_the_others_bank():
    distiller = build("crd", ["method.negatives=50"])
    batch = batch_of(distiller)
    outputs = (batch.student["embedding"], batch.teacher["embedding"])
    own = [unit(model(output)) for model, output in zip(distiller.embeddings, outputs, strict=True)]
    indices, of_all = batch.indices, tf.constant(LABELS)
    drawn = draw_weights(batch.labels, of_all, 50)
    total = 0.0
    for anchors, bank in zip(own, reversed(distiller.banks), strict=True):
        scores = similarities(anchors, bank.value, 0.07)
        normaliser = mean_similarity(scores, indices, drawn, 50) * len(LABELS)
        total += float(contrastive_loss(scores / normaliser, indices, drawn, 50))
    assert float(distiller.distillation_loss(batch)) == pytest.approx(0.8 * total, rel=1e-4)


@pytest.mark.parametrize(("negatives", "counted", "effective"), [(50, 50, {}), (65, 64, {"negatives": 64.0})])
def test_there_are_no_more_negatives_than_training_images(negatives, counted, effective):
    distiller = build("crd", [f"method.negatives={negatives}"])
    assert len(LABELS) == 64
    assert (distiller.negatives, distiller.effective) == (counted, effective)


def test_the_first_batch_sets_the_normalisers_and_later_ones_do_not():
    distiller = build("crd")
    assert [float(normaliser.value) for normaliser in distiller.normalisers] == [-1, -1]
    distiller.distillation_loss(batch_of(distiller))
    first = [float(normaliser.value) for normaliser in distiller.normalisers]
    assert min(first) > 0
    distiller.distillation_loss(batch_of(distiller))
    assert [float(normaliser.value) for normaliser in distiller.normalisers] == first


def test_a_step_changes_the_entries_of_its_images_only_and_they_are_part_of_the_state():
    distiller = build("crd")
    before = [bank.numpy().copy() for bank in distiller.banks]
    one_step(distiller, distiller.stages()[0])
    state = {id(variable) for variable in distiller.state}
    assert state >= {id(variable) for variable in (*distiller.banks, *distiller.normalisers)}
    for old, bank in zip(before, distiller.banks, strict=True):
        changed = np.flatnonzero((old != bank.numpy()).any(axis=1))
        assert list(changed) == list(range(8))
        np.testing.assert_allclose(np.linalg.norm(bank.numpy()[:8], axis=1), 1, rtol=1e-5)


def test_the_banks_are_not_trained():
    distiller = build("crd")
    (stage,) = distiller.stages()
    trained = {id(variable) for variable in stage.variables}
    assert not trained & {id(bank) for bank in distiller.banks}
    assert isinstance(distiller.banks[0], keras.Variable)
