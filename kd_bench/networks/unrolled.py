"""Finds layers and their outputs by name in any functional Keras model, also inside nested models."""

import contextlib
import difflib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.backend.common import global_state

from kd_bench.errors import ConfigError

_RANK_OF_MAPS = 4
_NOT_SUGGESTED = (
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.Normalization,
    keras.layers.Rescaling,
)
_WITH_ACTIVATION = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
)
_SHOWN = 8
"""So many layers that would serve as feature points are shown in a message."""


@contextlib.contextmanager
def names_from_the_start() -> Iterator[None]:
    """Numbers the layers that the body builds as if no other network had been built in this process.

    Otherwise the automatic name of a layer, such as `add_5`, would depend on whether a teacher was built before.
    """
    counters = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", None)
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", counters)


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        path: the layer's name; inside a nested model, after the names of the models around it.
        layer: a layer, an operation of `keras.ops`, or a nested model.
        inputs: the tensors that it reads.
        output: what it returns: a tensor, or a structure of tensors.
    """

    path: str
    layer: keras.Operation
    inputs: list[keras.KerasTensor]
    output: Any


class Unrolled:
    """The layers of a functional or sequential model, with those of its nested models in their place.

    The layers are the model's own, so that the weights are shared. A layer in a nested model gets another name if its
    name is already taken. The activation inside a layer, such as `Conv2D(activation="relu")`, becomes a layer, so that
    methods find the map before it: `name` is then the activation and `name/linear` the layer without it.

    Attributes:
        key: the key of the model's config, for messages.
        name: the model's.
        images: the new symbolic input.
        output: the model's output for this input, in the model's structure.
        calls: the calls of all layers, shallow to deep; that of a nested model follows those of its layers.
    """

    def __init__(self, key: str, model: keras.Model) -> None:
        self.key = key
        self.name = model.name
        self.calls: list[Call] = []
        self._owners: dict[str, keras.Operation] = {}
        self._activations: dict[keras.Operation, keras.layers.Activation] = {}
        self.images = keras.Input(model.inputs[0].shape[1:], dtype=model.inputs[0].dtype)
        self.output = self._called("", model, self.images)
        self._makers = {id(call.output): call for call in reversed(self.calls)}

    def _called(self, path: str, layer: keras.Operation, *inputs: Any, **options: Any) -> Any:
        # A nested model's own `training=False` is left out: Keras replaces it by the mode of the outer call.
        given = {name for name, value in options.items() if value is not None}
        if not (is_functional(layer) and len(inputs) == 1 and given <= {"training"}):
            return self._called_layer(path, layer, *inputs, **options)
        if isinstance(layer, keras.Sequential):
            (output,) = inputs
            for part in layer.layers:
                output = self._called(_join(path, part.name), part, output)
        else:
            output = self._called_inside(path, layer, inputs[0])
        if path:
            self._keep(path, layer, output, inputs)
        return output

    def _called_layer(self, path: str, layer: keras.Operation, *inputs: Any, **options: Any) -> Any:
        self._give_own_name(path, layer)
        activation = self._activation_of(layer)
        output = layer(*inputs, **options)
        if activation is None:
            return self._keep(path, layer, output, inputs, options)
        self._keep(_join(path, "linear"), layer, output, inputs, options)
        return self._keep(path, activation, activation(output), output)

    def _activation_of(self, layer: keras.Operation) -> keras.layers.Activation | None:
        """Takes the activation out of a layer, at its first call, and returns it as a layer."""
        if type(layer) in _WITH_ACTIVATION and layer.activation is not keras.activations.linear:
            own = keras.layers.Activation(layer.activation, dtype=layer.dtype_policy, name=f"{layer.name}_activation")
            self._give_own_name(own.name, own)
            self._activations[layer] = own
            layer.activation = keras.activations.linear
        return self._activations.get(layer)

    def _keep(self, path: str, layer: keras.Operation, output: Any, *given: Any) -> Any:
        read = [tensor for tensor in keras.tree.flatten(given) if isinstance(tensor, keras.KerasTensor)]
        self.calls.append(Call(path, layer, read, output))
        return output

    def _called_inside(self, path: str, model: keras.Model, inputs: Any) -> Any:
        def call(layer: keras.Operation, *arguments: Any, **options: Any) -> Any:
            return self._called(_join(path, layer.name), layer, *arguments, **options)

        # `keras.models.clone_model` does the same, but only on inputs that are not outputs of other layers.
        return model._run_through_graph(inputs, call_fn=call)

    def _give_own_name(self, path: str, layer: keras.Operation) -> None:
        numbered = (f"{layer.name}_{number}" for number in itertools.count(1))
        names = itertools.chain([layer.name, path.replace("/", "_")], numbered)
        layer.name = next(name for name in names if self._owners.setdefault(name, layer) is layer)

    def added(self, layer: keras.layers.Layer, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the output of a new layer, under a name that no layer of the model has."""
        self._give_own_name(layer.name, layer)
        return layer(tensor)

    def maker(self, tensor: keras.KerasTensor) -> Call | None:
        """Returns the call that returned a tensor; None for the images."""
        return self._makers.get(id(tensor))

    def back(self, tensor: keras.KerasTensor, over: Callable[[keras.Operation], bool]) -> keras.KerasTensor:
        """Goes from a tensor towards the images, over layers with one input for which `over` is true."""
        while (maker := self.maker(tensor)) is not None and len(maker.inputs) == 1 and over(maker.layer):
            (tensor,) = maker.inputs
        return tensor

    def place(self, option: str, name: str) -> int:
        """Returns the index of a layer's call.

        Args:
            option: the key of the config that names the layer, for messages.
            name: the path of the layer.

        Raises:
            ConfigError: there is no such layer, or it is used several times.
        """
        places = [place for place, call in enumerate(self.calls) if call.path == name]
        if len(places) > 1:
            raise ConfigError(
                f"{self.key}.{option}: {name} is used {len(places)} times; name a layer that is used once."
            )
        if not places:
            near = difflib.get_close_matches(name, [call.path for call in self.calls], n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{self.key}.{option}: {self.name} has no layer {name}.{hint} {self.suggestion()}")
        return places[0]

    def suggestion(self) -> str:
        """Returns a sentence with the layers that would serve as feature points: the last one at each size."""
        last: dict[tuple[int, ...], Call] = {}
        for call in self.calls:
            if is_map(call.output) and call.output.shape[1] > 1 and not isinstance(call.layer, _NOT_SUGGESTED):
                size = tuple(call.output.shape[1:3])
                last.pop(size, None)  # so that the sizes are in the order of their last calls
                last[size] = call
        layers = [f"{call.path} ({shape_of(call.output)})" for call in list(last.values())[-_SHOWN:]]
        return f"Layers that would serve: {', '.join(layers)}." if layers else "No layer returns feature maps."


def is_functional(layer: Any) -> bool:
    """Returns whether a model's layers can be found: it is functional or sequential, and is called as Keras does."""
    known = isinstance(layer, keras.Sequential) or hasattr(layer, "operations")
    return isinstance(layer, keras.Model) and known and type(layer).call.__module__.startswith("keras.")


def is_map(tensor: Any) -> bool:
    """Returns whether a symbolic tensor is a feature map `[B,h,w,c]` of fixed size."""
    return isinstance(tensor, keras.KerasTensor) and len(tensor.shape) == _RANK_OF_MAPS and None not in tensor.shape[1:]


def shape_of(tensor: keras.KerasTensor) -> str:
    """Returns the shape of one sample, such as `16x16x32`."""
    return "x".join(map(str, tensor.shape[1:]))


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
