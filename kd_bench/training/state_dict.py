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
        ValueError: they are not the tensors of this network, or not finite; the message is one line.
    """
    given = {name: tensor for name, tensor in tensors.items() if not name.endswith(_COUNTER)}
    usual = {name: tensor for name, tensor in state_dict(network, modules).items() if not name.endswith(_COUNTER)}
    _require_same(given, usual)
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


def _layers(network: keras.Model, modules: Modules) -> dict[str, list[keras.layers.Layer]]:
    """Returns the layers with weights by the names of their modules, in the modules' order."""
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    if other := layers.keys() ^ modules.names.keys():
        raise ValueError(f"its layer {min(other)} is not in PyTorch's code, or the other way round")
    found: dict[str, list[keras.layers.Layer]] = {}
    for name, module in modules.names.items():
        found.setdefault(module, []).append(layers[name])
    return found


def _require_same(given: Mapping[str, np.ndarray], usual: Mapping[str, np.ndarray]) -> None:
    """Raises `ValueError` unless both have the same names and shapes, and what is given is finite."""
    for problem, names in {
        "lacks the tensor": usual.keys() - given.keys(),
        "has a tensor that the network has not,": given.keys() - usual.keys(),
    }.items():
        if names:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ValueError(f"{problem} {min(names)}{others}; is it of another architecture?")
    *inner, matrix, _ = usual
    for name in (*inner, matrix):
        if given[name].shape != usual[name].shape:
            shapes = f"the shape {given[name].shape}, and not {usual[name].shape}"
            hint = "has it other classes?" if name == matrix else "is it of another architecture?"
            raise ValueError(f"has the tensor {name} with {shapes}; {hint}")
    for name, tensor in given.items():
        if not np.isfinite(tensor).all():
            raise ValueError(f"has the tensor {name} with values that are not finite; its training has failed")
