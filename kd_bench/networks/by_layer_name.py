"""Turns any functional Keras model into a network for the methods, with outputs chosen by the names of layers.

The named layer of a feature point returns its map `post`. The other maps follow from it, with the same result as in the
networks of this package: `pre` is the map that the layer reads, if it is an activation, else `post`; `passed` is
`post`. The config can name any of them instead: `points: [{post: relu_2, passed: add_1}]`.

The embedding is what the last dense layer or convolution reads, before any dropout; a map is averaged over its
positions. A softmax at the end is removed, because losses need logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kd_bench.config.network import MAPS
from kd_bench.errors import ConfigError
from kd_bench.networks.unrolled import Unrolled, is_functional, is_map, shape_of

Points = Sequence[str | Mapping[str, str]]
"""The layers that are feature points, shallow to deep: the name of a layer, or names by maps, with at least `post`."""

_RANK_OF_VECTORS = 2
_LOADABLE = ("keras", __name__.split(".")[0])
_RELUS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)
_ACTIVATIONS = (*_RELUS, keras.layers.Activation)
_ACTIVATION_OPERATIONS = {name.replace("_", "") for name in vars(keras.activations)}
_KERNELS = (keras.layers.Dense, keras.layers.Conv2D)


def by_layer_name(
    key: str,
    model: keras.Model,
    image_shape: tuple[int, int, int],
    num_classes: int,
    points: Points | None = None,
    embedding: str | None = None,
) -> keras.Model:
    """Returns a network with the layers and weights of a model, and with the outputs that methods use.

    Args:
        key: the key of the model's config, such as `model.student`, for messages.
        model: functional or sequential, from images to logits `[B,K]` or to a dict with `logits`.
        image_shape: height, width and channels of an image.
        num_classes: K.
        points: the feature points, shallow to deep; None for those in the model's dict, if it has some.
        embedding: the layer that returns the embedding; None for that in the model's dict, or the default.

    Returns:
        A functional model without nested models, from images `[B,H,W,C]` to a dict: `logits [B,K]` in float32,
        `embedding [B,D]` if there is one and, with feature points, the lists `pre`, `post` and `passed` of maps
        `[B,h,w,c]`. The model itself if it is already such a network.

    Raises:
        ConfigError: the model cannot serve; the message says why and, for a point, which layers would.
    """
    _require_images(key, model, image_shape)
    if points is None and embedding is None and _is_network(model):
        return model
    unrolled = Unrolled(key, model)
    own = unrolled.output if isinstance(unrolled.output, Mapping) else {"logits": unrolled.output}
    logits = _logits(unrolled, own.get("logits"), num_classes)
    outputs = {**own, "logits": logits, "embedding": _embedding(unrolled, own.get("embedding"), logits, embedding)}
    if points is not None:
        outputs |= _maps(unrolled, points)
    _require_loadable(unrolled)
    _synchronise(unrolled)
    return keras.Model(unrolled.images, _checked(key, outputs), name=model.name)


def _is_network(model: keras.Model) -> bool:
    """Returns whether a model has all outputs that methods use, and no nested models."""
    complete = not isinstance(model, keras.Sequential) and isinstance(model.output, dict)
    complete = complete and model.output.keys() >= {"logits", "embedding", *MAPS}
    return complete and not any(isinstance(layer, keras.Model) for layer in model.layers)


def _require_images(key: str, model: Any, image_shape: tuple[int, int, int]) -> None:
    if not is_functional(model) or not model.inputs:
        raise ConfigError(
            f"{key}: returns {type(model).__name__}, whose layers cannot be found; it must return "
            "keras.Model(inputs, outputs), or a keras.Sequential that begins with keras.Input."
        )
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    fits = len(shapes) == 1 and len(shapes[0]) == len(image_shape)
    if not fits or any(own not in (None, given) for own, given in zip(shapes[0], image_shape, strict=True)):
        raise ConfigError(f"{key}: {model.name} takes {shapes}; it must take images of shape {tuple(image_shape)}.")


def _logits(unrolled: Unrolled, output: Any, num_classes: int) -> keras.KerasTensor:
    """Returns the logits behind an output, in float32."""
    shape = tuple(output.shape) if isinstance(output, keras.KerasTensor) else f"several outputs, {output}"
    if shape != (None, num_classes):
        raise ConfigError(
            f"{unrolled.key}: {unrolled.name} returns {shape}; it must return the logits of {num_classes} classes, "
            f"{(None, num_classes)}, or a dict that has them as `logits`."
        )
    logits = _without_softmax(unrolled, output)
    if logits.dtype == "float32":
        return logits
    return unrolled.added(keras.layers.Activation("linear", dtype="float32"), logits)


def _without_softmax(unrolled: Unrolled, output: keras.KerasTensor) -> keras.KerasTensor:
    last = unrolled.maker(output)
    assert last is not None, "the images are no logits"
    if isinstance(last.layer, keras.layers.Softmax):
        return last.inputs[0]
    activation = getattr(last.layer, "activation", keras.activations.linear)
    if activation is keras.activations.softmax:
        last.layer.activation = keras.activations.linear
    elif activation is not keras.activations.linear or isinstance(last.layer, _RELUS):
        raise ConfigError(f"{unrolled.key}: the last layer, {last.path}, has an activation; it must return logits.")
    return output


def _embedding(unrolled: Unrolled, own: Any, logits: keras.KerasTensor, name: str | None) -> keras.KerasTensor | None:
    """Returns the embedding: the output of the named layer, the model's own or the input of the last kernel."""
    if name is not None:
        found = unrolled.calls[unrolled.place("embedding", name)].output
    else:
        found = own if own is not None else _before_last_kernel(unrolled, logits)
    if is_map(found):
        return unrolled.added(keras.layers.GlobalAveragePooling2D(), found)
    if found is not None and len(found.shape) != _RANK_OF_VECTORS:
        raise ConfigError(
            f"{unrolled.key}.embedding: has the shape {tuple(found.shape)}; name a layer with one vector."
        )
    return found


def _before_last_kernel(unrolled: Unrolled, logits: keras.KerasTensor) -> keras.KerasTensor | None:
    last = unrolled.maker(unrolled.back(logits, lambda layer: not isinstance(layer, _KERNELS)))
    if last is None or not isinstance(last.layer, _KERNELS):
        return None
    return unrolled.back(last.inputs[0], lambda layer: isinstance(layer, keras.layers.Dropout))


def _maps(unrolled: Unrolled, points: Points) -> dict[str, list[keras.KerasTensor]]:
    """Returns the maps of all points, by their kind."""
    named = [{"post": point} if isinstance(point, str) else point for point in points]
    places = [unrolled.place("points", names["post"]) for names in named]
    if places != sorted(set(places)):
        raise ConfigError(
            f"{unrolled.key}.points: {', '.join(names['post'] for names in named)}: these layers are not in the order "
            "of the network, shallow to deep."
        )
    maps = [_maps_of(unrolled, names) for names in named]
    return {kind: [of_point[kind] for of_point in maps] for kind in MAPS}


def _maps_of(unrolled: Unrolled, names: Mapping[str, str]) -> dict[str, keras.KerasTensor]:
    given = {kind: _map(unrolled, name) for kind, name in names.items()}
    return {"pre": _before_activation(unrolled, given["post"]), "passed": given["post"]} | given


def _before_activation(unrolled: Unrolled, tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Returns what an activation reads to return the tensor; the tensor if another layer returns it."""
    maker = unrolled.maker(tensor)
    return maker.inputs[0] if maker is not None and _is_activation(maker.layer) else tensor


def _is_activation(layer: keras.Operation) -> bool:
    """Returns whether a layer is an activation, or an operation is one, such as `keras.ops.relu`."""
    is_layer = isinstance(layer, keras.layers.Layer)
    return isinstance(layer, _ACTIVATIONS) or (not is_layer and type(layer).__name__.lower() in _ACTIVATION_OPERATIONS)


def _map(unrolled: Unrolled, name: str) -> keras.KerasTensor:
    found = unrolled.calls[unrolled.place("points", name)].output
    if not is_map(found):
        shape = shape_of(found) if isinstance(found, keras.KerasTensor) else "several tensors"
        raise ConfigError(f"{unrolled.key}.points: {name} returns {shape}, not a feature map. {unrolled.suggestion()}")
    return found


def _require_loadable(unrolled: Unrolled) -> None:
    """Refuses layers that Keras could save but not load again."""
    for call in unrolled.calls:
        kind = type(call.layer)
        if isinstance(call.layer, keras.layers.Lambda):
            raise ConfigError(
                f"{unrolled.key}: {call.path} is a Lambda, which Keras does not load from a file; use a layer or an "
                "operation of keras.ops."
            )
        if kind.__module__.split(".")[0] not in _LOADABLE and ">" not in keras.saving.get_registered_name(kind):
            raise ConfigError(
                f"{unrolled.key}: Keras could not load {call.path} from a file; write "
                f"@keras.saving.register_keras_serializable() before the class {kind.__name__}, and give it get_config."
            )


def _synchronise(unrolled: Unrolled) -> None:
    """Lets the batch norms use the statistics of all replicas, as those of this package do."""
    for call in unrolled.calls:
        if isinstance(call.layer, keras.layers.BatchNormalization):
            call.layer.synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1


def _checked(key: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the outputs that methods use and that are there. The maps must be all there or all missing."""
    present = {name: outputs[name] for name in ("logits", "embedding", *MAPS) if outputs.get(name) is not None}
    missing = [kind for kind in MAPS if kind not in present]
    if missing and len(missing) < len(MAPS):
        raise ConfigError(
            f"{key}: the dict of outputs has no {' and no '.join(missing)}; return all of {', '.join(MAPS)}."
        )
    return present
