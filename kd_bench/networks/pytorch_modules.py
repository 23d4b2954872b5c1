"""The names that the modules of our networks have in PyTorch, in the code of the distillation benchmarks.

RepDistiller and mdistiller name them alike; their checkpoints hold a tensor for each, such as `layer1.0.conv1.weight`.
Here, Keras numbers the layers of each kind in the order in which a network is built, such as `conv2d_1`. The module of
a network says its names: its function `pytorch_modules` takes the parameters of the network and returns `Modules`.
"""

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kd_bench.errors import ConfigError

CONVOLUTION, DEPTHWISE, NORM, CLASSIFIER = "conv2d", "depthwise_conv2d", "batch_normalization", "logits"
"""The kinds of layers that have weights, by the names that Keras gives to them, and the name of the last layer."""

Built = Iterator[tuple[str, str]]
"""The kind of each layer that has weights, and its name in PyTorch, in the order in which ours are built."""


@dataclass(frozen=True)
class Modules:
    """A network's layers with weights, as PyTorch has them.

    Attributes:
        names: the names of the modules by the names of our layers; a batch norm follows its convolution. The layers
            of a convolution by parts have one name.
        fixed: the values of our parameters with which PyTorch's network is the same function of the weights.
        biased: whether the convolutions have a bias, which ours have not, because a batch norm follows them.
    """

    names: Mapping[str, str]
    fixed: Mapping[str, Any]
    biased: bool = False


def modules_of(key: str, target: str, parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules that a network has in PyTorch.

    Args:
        key: of the network's config, such as `model.teacher`, for messages.
        target: the import path of the function that builds the network.
        parameters: what the config gives to it.

    Raises:
        ConfigError: PyTorch's code has no such network, or computes something else with it.
    """
    home = importlib.import_module(target.rpartition(".")[0])
    if not hasattr(home, "pytorch_modules"):
        raise ConfigError(f"{key}._target_={target}: is not known in PyTorch; docs/networks.md lists those that are.")
    modules: Modules = home.pytorch_modules(parameters)
    for name, there in modules.fixed.items():
        if (here := parameters.get(name, "same" if name == "padding" else None)) != there:
            raise ConfigError(
                f"{key}.{name}={here}: in PyTorch's code this network has {name}={there}, and with another value the "
                f"same weights are another function; choose a network with {name}={there}."
            )
    return modules


def numbered(built: Built) -> dict[str, str]:
    """Returns the modules' names by the names that Keras gives to layers: `conv2d`, `conv2d_1`, ..."""
    counts: Counter[str] = Counter()
    names = {}
    for kind, name in built:
        names[f"{kind}_{counts[kind]}" if counts[kind] else kind] = name
        counts[kind] += 1
    return names


def normed(convolution: str, norm: str, kind: str = CONVOLUTION) -> Built:
    """Yields a convolution and the batch norm that follows it."""
    yield kind, convolution
    yield NORM, norm
