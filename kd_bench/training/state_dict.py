"""The weights of a network as PyTorch's state dict, there and back.

A kernel has its axes in another order. A bias in front of a batch norm, which our convolutions do not have, only moves
the mean that the norm subtracts: (x + bias) - mean = x - (mean - bias).
"""

from collections.abc import Mapping

import keras
import numpy as np

from kd_bench.networks.pytorch_modules import Modules

_COUNTER = ".num_batches_tracked"
"""The end of the name of a batch norm's counter, which does not change what it computes."""
_AXES: dict[type, tuple[int, ...]] = {
    keras.layers.DepthwiseConv2D: (2, 3, 0, 1),
    keras.layers.Conv2D: (3, 2, 0, 1),
    keras.layers.Dense: (1, 0),
}
"""The axes of our kernels in the order of PyTorch's: `[O,I,h,w]` for a convolution, `[K,D]` for a matrix."""


class OtherNetworkError(ValueError):
    """The tensors are not those of the network: others, or of other shapes.

    Attributes:
        difference: what differs, for a message.
        question: what may be the reason.
    """

    def __init__(self, difference: str, question: str) -> None:
        super().__init__(f"{difference}; {question}")
        self.difference = difference
        self.question = question


def state_dict(network: keras.Model, modules: Modules) -> dict[str, np.ndarray]:
    """Returns the weights of a network by the names of PyTorch, float32; counters are int64 zeros, biases zeros.

    Raises:
        ValueError: the network has layers that PyTorch's code does not have, or lacks some; the message is one line.
    """
    tensors: dict[str, np.ndarray] = {}
    for module, layers in _layers(network, modules).items():
        if isinstance(layers[0], keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layers[0].get_weights()
            tensors |= {f"{module}.weight": gamma, f"{module}.bias": beta}
            tensors |= {f"{module}.running_mean": mean, f"{module}.running_var": variance}
            tensors[f"{module}{_COUNTER}"] = np.zeros((), np.int64)
            continue
        kernel = np.concatenate([layer.get_weights()[0] for layer in layers], axis=-1)
        tensors[f"{module}.weight"] = np.ascontiguousarray(kernel.transpose(_AXES[type(layers[0])]))
        if layers[0].use_bias:
            tensors[f"{module}.bias"] = layers[0].get_weights()[1]
        elif modules.biased:
            tensors[f"{module}.bias"] = np.zeros(kernel.shape[-1], np.float32)
    return tensors


def load_state_dict(network: keras.Model, modules: Modules, tensors: Mapping[str, np.ndarray]) -> None:
    """Gives a network the weights of a state dict.

    Args:
        network: the network.
        modules: what PyTorch has for its layers.
        tensors: name -> array; counters may be missing.

    Raises:
        OtherNetworkError: they are not the tensors of this network; the message is one line.
        ValueError: they are not finite, or the network has other layers than PyTorch's; likewise.
    """
    given = without_counters(tensors)
    _require_same(shapes(given), shapes(state_dict(network, modules)))
    for name, tensor in given.items():
        if not np.isfinite(tensor).all():
            raise ValueError(f"has the tensor {name} with values that are not finite; its training has failed")
    bias = np.zeros(())
    for module, layers in _layers(network, modules).items():
        weight = given[f"{module}.weight"]
        if isinstance(layers[0], keras.layers.BatchNormalization):
            mean, variance = given[f"{module}.running_mean"], given[f"{module}.running_var"]
            layers[0].set_weights([weight, given[f"{module}.bias"], mean - bias, variance])
            continue
        own = [given[f"{module}.bias"]] if layers[0].use_bias else []
        bias = given[f"{module}.bias"] if modules.biased else np.zeros(())
        kernel = weight.transpose(np.argsort(_AXES[type(layers[0])]))
        for layer, part in zip(layers, np.split(kernel, len(layers), axis=-1), strict=True):
            layer.set_weights([part, *own])


def shapes(tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the tensors of a state dict by their names, without its counters."""
    return {name: tensor.shape for name, tensor in without_counters(tensors).items()}


def without_counters(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a state dict without the counters of its batch norms, which change nothing and may be missing."""
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(_COUNTER)}


def _layers(network: keras.Model, modules: Modules) -> dict[str, list[keras.layers.Layer]]:
    """Returns the layers with weights by the names of their modules, in the modules' order."""
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    if other := layers.keys() ^ modules.names.keys():
        raise ValueError(f"its layer {min(other)} is not in PyTorch's code, or the other way round")
    found: dict[str, list[keras.layers.Layer]] = {}
    for name, module in modules.names.items():
        found.setdefault(module, []).append(layers[name])
    return found


def _require_same(given: Mapping[str, tuple[int, ...]], usual: Mapping[str, tuple[int, ...]]) -> None:
    """Raises `OtherNetworkError` unless both have the same names and shapes."""
    architecture = "is it of another architecture?"
    for difference, names in {
        "lacks the tensor": usual.keys() - given.keys(),
        "has a tensor that the network has not,": given.keys() - usual.keys(),
    }.items():
        if names:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise OtherNetworkError(f"{difference} {min(names)}{others}", architecture)
    *inner, matrix, _ = usual
    for name in (*inner, matrix):
        if given[name] != usual[name]:
            difference = f"has the tensor {name} with the shape {given[name]}, and not {usual[name]}"
            raise OtherNetworkError(difference, "has it other classes?" if name == matrix else architecture)
