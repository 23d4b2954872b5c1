"""Which of the package's networks a state dict is of, by the names and shapes of its tensors."""

from collections.abc import Mapping

import numpy as np

from kd_bench.config.named_network import own_networks
from kd_bench.config.network import Network
from kd_bench.errors import ConfigError
from kd_bench.networks.pytorch_modules import CLASSIFIER, modules_of
from kd_bench.networks.unrolled import names_from_the_start
from kd_bench.training.state_dict import shapes, state_dict


def fitting(tensors: Mapping[str, np.ndarray], image_shape: tuple[int, int, int]) -> tuple[str, int] | None:
    """Returns the name of the network that has these tensors, and the number of its classes.

    Args:
        tensors: a state dict.
        image_shape: height, width and channels of an image.

    Returns:
        None if not exactly one of the networks in `conf/network` has these tensors, all of them and no others.
    """
    found = ((name, _classes(network, tensors, image_shape)) for name, network in own_networks().items())
    fits = [(name, classes) for name, classes in found if classes is not None]
    return fits[0] if len(fits) == 1 else None


def _classes(network: Network, tensors: Mapping[str, np.ndarray], image_shape: tuple[int, int, int]) -> int | None:
    """Returns the number of classes with which a network has these tensors; None if it has others."""
    try:
        modules = modules_of("network", network.target, network.parameters)
        if set(modules.names.values()) != {name.rpartition(".")[0] for name in tensors}:
            return None  # at once, because to build a network takes seconds
        with names_from_the_start():
            built = network.build(image_shape, 1)
    except ConfigError:  # PyTorch has no such network, or the images are too small
        return None
    expected, last = shapes(state_dict(built, modules)), modules.names[CLASSIFIER]
    bias, (_, features) = tensors.get(f"{last}.bias", np.empty(0)), expected[f"{last}.weight"]
    expected |= {f"{last}.weight": (bias.size, features), f"{last}.bias": (bias.size,)}
    return bias.size if bias.size and shapes(tensors) == expected else None
