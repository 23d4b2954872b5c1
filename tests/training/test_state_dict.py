"""Weights that are not those of the network: refused in one line, and the network stays as it was."""

import numpy as np
import pytest
from helpers.pytorch import tensor

from kd_bench.networks.pytorch_modules import modules_of
from kd_bench.networks.resnet import resnet
from kd_bench.networks.unrolled import names_from_the_start
from kd_bench.networks.vgg import vgg
from kd_bench.training.state_dict import load_state_dict, state_dict

SMALL = {"depth": 8, "width": 1, "stem_channels": 4, "stem_stride": 1, "shortcut": "projection", "padding": "symmetric"}
NARROW = {"depth": 8, "stem_channels": 4, "poolings": 3, "points": [1], "padding": "symmetric"}


def built(kind, parameters, classes=10):
    """Returns a network of its own names, and its modules."""
    with names_from_the_start():
        network = kind((8, 8, 3), classes, **parameters)
    return network, modules_of("model.teacher", f"{kind.__module__}.{kind.__name__}", parameters)


@pytest.fixture
def small():
    return built(resnet, SMALL)


def weights_of(network, modules):
    return {name: tensor(name, one.shape) for name, one in state_dict(network, modules).items()}


def without(name):
    return lambda weights: {key: value for key, value in weights.items() if key != name}


def with_other(name, value):
    return lambda weights: weights | {name: value}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("layer2.0.bn1.bias"), r"lacks the tensor layer2\.0\.bn1\.bias; is it of another architecture\?"),
        (with_other("layer1.1.conv1.weight", np.ones(3)), r"has a tensor that the network has not, layer1\.1\.conv1"),
        (
            with_other("conv1.weight", np.ones((8, 3, 3, 3))),
            r"conv1\.weight with the shape \(8, 3, 3, 3\), and not \(4,",
        ),
        (
            with_other("fc.weight", np.ones((100, 16))),
            r"fc\.weight with the shape \(100, 16\), .*has it other classes\?",
        ),
        (with_other("fc.bias", np.full(10, np.nan)), r"fc\.bias with values that are not finite"),
    ],
)
def test_other_weights_are_refused_and_change_nothing(small, change, problem):
    network, modules = small
    before = network.get_weights()
    with pytest.raises(ValueError, match=problem) as refused:
        load_state_dict(network, modules, change(weights_of(network, modules)))
    assert "\n" not in str(refused.value)
    for now, then in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_deeper_network_is_another_architecture(small):
    deeper = weights_of(*built(resnet, SMALL | {"depth": 14}))
    with pytest.raises(ValueError, match=r"has not, layer1\.1\.bn1\.bias and 29 more; is it of another architecture\?"):
        load_state_dict(*small, deeper)


def test_counters_need_not_be_there(small):
    network, modules = small
    weights = weights_of(network, modules)
    load_state_dict(network, modules, {name: one for name, one in weights.items() if "num_batches" not in name})
    np.testing.assert_array_equal(state_dict(network, modules)["bn1.weight"], weights["bn1.weight"])


def test_a_bias_before_a_batch_norm_moves_its_mean(generator):
    network, modules = built(vgg, NARROW)
    weights, images = weights_of(network, modules), generator.normal(size=(2, 8, 8, 3)).astype(np.float32)
    load_state_dict(network, modules, weights)
    plain = state_dict(network, modules)
    moved = weights["block0.1.running_mean"] - weights["block0.0.bias"]
    np.testing.assert_allclose(plain["block0.1.running_mean"], moved)
    assert not plain["block0.0.bias"].any()
    # By hand, of the first block: batch norm of convolution + bias.
    kernel = weights["block0.0.weight"].transpose(2, 3, 1, 0)
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    convolved = np.einsum("bhwiyx,yxio->bhwo", windows, kernel) + weights["block0.0.bias"]
    normalised = (convolved - weights["block0.1.running_mean"]) / np.sqrt(weights["block0.1.running_var"] + 1e-5)
    expected = normalised * weights["block0.1.weight"] + weights["block0.1.bias"]
    np.testing.assert_allclose(network(images)["pre"][0], expected, rtol=1e-4, atol=1e-5)


def test_a_layer_that_pytorchs_code_has_not_is_refused(small):
    _, modules = small
    deeper, _ = built(resnet, SMALL | {"depth": 14})
    with pytest.raises(ValueError, match=r"its layer .* is not in PyTorch's code, or the other way round"):
        state_dict(deeper, modules)
