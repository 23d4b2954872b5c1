"""A vision transformer computes what its equations say, and learns from a network of convolutions."""

import math

import keras
import numpy as np
import pytest
from helpers.methods import BATCH_SIZE, LABELS, METHODS, one_step
from hydra.utils import get_class

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError
from kd_bench.networks.vit import vit
from kd_bench.networks.wide_resnet import wide_resnet

_OTHER_SIZES = "the student's map .* and the teacher's .* differ in size; choose other points"
REFUSED = {
    name: f"^{label}: {_OTHER_SIZES}"
    for name, label in {"ab": "AB", "co": "CO", "fitnet": "FitNet", "vid": "VID"}.items()
}
"""Method -> why, beside a network whose maps become smaller with depth."""
SMALL = {"patch": 8, "width": 12, "depth": 4, "heads": 3, "mlp_ratio": 2, "points": [1, 2, 3, 4]}


def small(**options):
    return vit((32, 24, 3), 5, **SMALL | options)


def normed(tokens, scale, offset):
    mean, variance = tokens.mean(-1, keepdims=True), tokens.var(-1, keepdims=True)
    return (tokens - mean) / np.sqrt(variance + 1e-6) * scale + offset


def attended(tokens, weights):
    query, key, value = (
        np.einsum("btd,dhk->bthk", tokens, weights[f"{part}/kernel"]) + weights[f"{part}/bias"]
        for part in ("query", "key", "value")
    )
    scores = np.einsum("bthk,bshk->bhts", query, key) / math.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("bhts,bshk->bthk", shares / shares.sum(-1, keepdims=True), value)
    return np.einsum("bthk,hkd->btd", mixed, weights["attention_output/kernel"]) + weights["attention_output/bias"]


def gelu(values):
    return values * (1 + np.vectorize(math.erf)(values / math.sqrt(2))) / 2


def parts(layer):
    return {"/".join(variable.path.split("/")[-2:]): variable.numpy().astype(float) for variable in layer.weights}


def reference(network, images):
    """Returns logits and maps by the equations of the paper, with the weights of the network."""
    layers = [layer for layer in network.layers if layer.weights]
    first, *blocks, last, classifier = layers
    patches = images.reshape(len(images), 4, 8, 3, 8, 3).transpose(0, 1, 3, 2, 4, 5).reshape(len(images), 12, -1)
    kernel, bias = (weight.astype(float) for weight in first.get_weights())
    of_class = np.broadcast_to(bias[:1], (len(images), 1, bias.shape[1]))
    tokens, maps = np.concatenate([of_class, patches @ kernel + bias[1:]], axis=1), []
    for block in range(0, len(blocks), 5):
        before, attention, behind, wide, narrow = blocks[block : block + 5]
        tokens = tokens + attended(normed(tokens, *before.get_weights()), parts(attention))
        inner = gelu(normed(tokens, *behind.get_weights()) @ wide.get_weights()[0] + wide.get_weights()[1])
        tokens = tokens + inner @ narrow.get_weights()[0] + narrow.get_weights()[1]
        maps.append(tokens[:, 1:].reshape(len(images), 4, 3, -1))
    weights, offset = classifier.get_weights()
    return normed(tokens[:, 0], *last.get_weights()) @ weights + offset, maps


def test_it_computes_what_its_equations_say():
    keras.utils.set_random_seed(0)
    network = small()
    network.set_weights(
        [weight + np.random.default_rng(1).normal(0, 0.2, weight.shape) for weight in network.get_weights()]
    )
    images = np.random.default_rng(0).normal(0, 1, (2, 32, 24, 3)).astype(np.float32)
    outputs = network(images)
    logits, maps = reference(network, images)
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-4, atol=1e-4)
    for found, expected in zip(outputs["post"], maps, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_deit_ti_has_its_parameters():
    (config,) = jobs(["method=student", "model.student=vit"])
    network = config.model.student.build((224, 224, 3), 1000)
    assert network.count_params() == 5_717_416 - 2 * 192  # two of DeiT's vectors are summands of others
    assert [tuple(maps.shape[1:]) for maps in network.output["post"]] == [(14, 14, 192)] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 7}, "^patch=7: must divide the images' size, 32x24"),
        ({"heads": 5}, "^heads=5: must divide width=12"),
        ({"points": [5]}, r"^points=\[5\]: must be blocks from 1 to 4"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        small(**options)


def distilled(method, *overrides):
    """Does a step of each stage of a method with a network of convolutions as teacher; returns the logs."""
    keras.utils.set_random_seed(0)
    (config,) = jobs([f"method={method}", *overrides])
    kind, shape = get_class(config.method.target), (32, 32, 3)
    options = {"depth": 10, "width": 1, "stem_channels": 8, "stem_stride": 1}
    teacher = None if kind.teacher_init is None else wide_resnet(shape, 10, **options)
    student = vit(shape, 10, **SMALL | {"patch": 4, "depth": 3, "points": [1, 2, 3]})
    distiller = config.method.build(student, teacher)
    distiller.prepare(LABELS, BATCH_SIZE)
    return [one_step(distiller, stage, shape=shape) for stage in distiller.stages()]


@pytest.mark.parametrize("method", sorted({*METHODS} - {*REFUSED}))
def test_it_learns_from_a_network_of_convolutions(method):
    assert all(np.isfinite(value) for logs in distilled(method) for value in logs.values())


@pytest.mark.parametrize("method", REFUSED)
def test_methods_that_make_no_sense_refuse_in_one_line(method):
    with pytest.raises(ConfigError, match=rf"{REFUSED[method]}[^\n]*$"):
        distilled(method)


def test_fitnet_needs_maps_of_one_size():
    assert len(distilled("fitnet", "method.hint_point=2")) == 2
