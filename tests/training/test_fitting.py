"""Of which of the package's networks a file's tensors are: named only if it is certain."""

import numpy as np
import pytest
from helpers.pytorch import tensors

from kd_bench.config.compose import jobs
from kd_bench.config.named_network import own_networks
from kd_bench.training.fitting import fitting

SHAPE = (32, 32, 3)


def with_classes(weights, classifier, classes):
    features = weights[f"{classifier}.weight"].shape[1]
    matrix, bias = np.ones((classes, features), np.float32), np.ones(classes, np.float32)
    return weights | {f"{classifier}.weight": matrix, f"{classifier}.bias": bias}


def test_the_own_networks_are_those_that_hydra_composes():
    found = own_networks()
    assert {"resnet8x4", "wrn_16_2", "vgg8", "shufflenet_v1", "resnet50"} < found.keys()
    for name in ("resnet8x4", "vgg8", "mobilenet_v2", "keras_application"):
        (composed,) = jobs(["method=student", f"model.student={name}"])
        assert found[name] == composed.model.student


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("resnet8", "resnet8"), ("resnet8x4", "resnet8x4"), ("vgg8", "vgg8"), ("ShuffleV2", "shufflenet_v2")],
)
def test_names_and_shapes_say_which_network_it_is(theirs, ours):
    assert fitting(tensors(theirs), SHAPE) == (ours, 100)


def test_the_classes_are_those_of_the_file():
    assert fitting(with_classes(tensors("resnet8"), "fc", 10), SHAPE) == ("resnet8", 10)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: {name: one for name, one in weights.items() if name != "layer2.0.bn1.bias"},
        lambda weights: weights | {"conv1.weight": np.ones((16, 1, 3, 3))},
        lambda weights: weights | {"more.weight": np.ones(3)},
        lambda weights: weights | {"fc.bias": np.ones(())},
        lambda weights: weights | {"fc.bias": np.ones(10)},
        lambda weights: with_classes(weights, "fc", 0),
        lambda weights: {name: one for name, one in weights.items() if name != "fc.bias"},
    ],
)
def test_what_is_not_wholly_one_of_them_is_none(change):
    assert fitting(change(tensors("resnet8")), SHAPE) is None


def test_images_for_which_a_network_is_too_small_are_no_fault():
    assert fitting(tensors("vgg8"), (4, 4, 3)) is None
