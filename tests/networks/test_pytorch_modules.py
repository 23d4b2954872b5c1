"""Our networks, with PyTorch's weights, compute what PyTorch computes; and their weights go back by the same names."""

import numpy as np
import pytest
from helpers.pytorch import ARCHITECTURES, expected, images, tensors

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError
from kd_bench.networks.pytorch_modules import modules_of
from kd_bench.networks.unrolled import names_from_the_start
from kd_bench.training.state_dict import load_state_dict, state_dict

TOLERANCE = 1e-5
"""What was measured is below 2e-6: docs/networks.md."""


def architecture(name):
    (config,) = jobs(["method=student", f"model.student={name}"])
    return config.model.student


def filled(name, weights):
    """Returns a network with these weights, and its modules."""
    one = architecture(name)
    with names_from_the_start():
        network = one.build((32, 32, 3), 100)
    modules = modules_of("model.student", one.target, one.parameters)
    load_state_dict(network, modules, weights)
    return network, modules


def difference(values, reference):
    """Returns the largest difference, as a share of the largest value."""
    return np.abs(np.asarray(values) - np.asarray(reference)).max() / np.abs(reference).max()


@pytest.mark.parametrize("theirs", ARCHITECTURES)
def test_pytorchs_weights_give_what_pytorch_computes(theirs):
    there, weights = expected()[theirs], tensors(theirs)
    network, modules = filled(ARCHITECTURES[theirs], weights)
    outputs = network(images())
    assert difference(outputs["logits"][:2], there["logits"]) < TOLERANCE
    assert difference(outputs["embedding"][:2, :100], there["embedding"]) < TOLERANCE
    maps = there["maps"][-len(outputs["passed"]) :]
    assert len(maps) == len(there["maps"]) - 1 or theirs.startswith("vgg")
    for found, known in zip(outputs["passed"], maps, strict=True):
        assert [found.shape[axis] for axis in (0, 3, 1, 2)] == known["shape"]
        assert np.mean(found) == pytest.approx(known["mean"], abs=TOLERANCE)
        assert np.std(found, ddof=1) == pytest.approx(known["std"], rel=1e-4)

    biases = sum(len(weights[f"{module}.bias"]) for module in modules.names.values() if is_biased(module, weights))
    own = sum(np.prod(variable.shape, dtype=int) for variable in network.trainable_variables)
    assert own + (biases if modules.biased else 0) == there["parameters"]

    back = state_dict(network, modules)
    assert {name: list(tensor.shape) for name, tensor in back.items()} == there["tensors"]
    assert {str(tensor.dtype) for tensor in back.values()} == {"float32", "int64"}
    if not modules.biased:
        for name, tensor in weights.items():
            np.testing.assert_array_equal(back[name], tensor)
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    load_state_dict(network, modules, back)
    np.testing.assert_allclose(network(images()[:1])["logits"], outputs["logits"][:1], rtol=1e-4, atol=1e-5)


def is_biased(module, weights):
    return f"{module}.bias" in weights and weights[f"{module}.weight"].ndim == 4


@pytest.mark.parametrize("name", ["resnet8", "wrn_16_1", "mobilenet_v2", "shufflenet_v1", "shufflenet_v2"])
def test_the_other_padding_is_another_function_of_the_same_weights(name):
    theirs = {ours: theirs for theirs, ours in ARCHITECTURES.items()}[name]
    network, _ = filled(name, tensors(theirs))
    one = architecture(name)
    other = one.load()((32, 32, 3), 100, **one.parameters | {"padding": "same"})
    other.set_weights(network.get_weights())
    assert difference(other(images()[:2])["logits"], expected()[theirs]["logits"]) > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("resnet8", {"padding": "same"}, r"^model\.student\.padding=same: in PyTorch's code .* padding=symmetric"),
        ("resnet8", {"shortcut": "padding"}, r"^model\.student\.shortcut=padding: .* has shortcut=projection"),
        ("wrn_16_1", {"stem_stride": 2}, r"^model\.student\.stem_stride=2: .* has stem_stride=1"),
        ("mobilenet_v2", {"stem_stride": 1}, r"^model\.student\.stem_stride=1: .* has stem_stride=2"),
        ("keras_application", {}, r"^model\.student\._target_=kd_bench.*: is not known in PyTorch; docs/networks"),
    ],
)
def test_a_network_that_is_another_function_in_pytorch_is_refused(name, changed, message):
    one = architecture(name)
    with pytest.raises(ConfigError, match=message):
        modules_of("model.student", one.target, one.parameters | changed)


def test_a_padding_that_is_not_given_is_tensorflows():
    parameters = {name: value for name, value in architecture("resnet8").parameters.items() if name != "padding"}
    with pytest.raises(ConfigError, match=r"padding=same"):
        modules_of("model.student", "kd_bench.networks.resnet.resnet", parameters)
