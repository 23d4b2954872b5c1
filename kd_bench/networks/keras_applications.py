"""The networks of `keras.applications`, by name, without trained weights."""

import difflib
import inspect
from typing import Any

import keras

from kd_bench.errors import ConfigError

_SET_HERE = {"weights", "input_shape", "classes", "classifier_activation", "include_preprocessing"}
_CHANGES_OUTPUTS = {"include_top", "pooling", "input_tensor", "name"}


def keras_application(
    input_shape: tuple[int, int, int], num_classes: int, *, application: str, options: dict
) -> keras.Model:
    """Builds a network of `keras.applications` for normalised images.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        application: the function's name, such as `MobileNetV2`.
        options: further arguments of this function, such as `{alpha: 0.5}`.

    Returns:
        A functional model from images `[B,H,W,C]` to logits `[B,K]`.

    Raises:
        ConfigError: there is no such network, it has no such option, or it cannot be built, for example because it
            needs larger images.
    """
    build = _function(application)
    accepted = set(inspect.signature(build).parameters)
    if wrong := options.keys() - (accepted - _SET_HERE - _CHANGES_OUTPUTS):
        allowed = ", ".join(sorted(accepted - _SET_HERE - _CHANGES_OUTPUTS)) or "none"
        raise ConfigError(f"options={options}: {application} has no option {min(wrong)} here. Allowed: {allowed}.")
    given = {"weights": None, "classes": num_classes, "classifier_activation": None, "include_preprocessing": False}
    given |= _images(application, input_shape) | options
    try:
        return build(**{name: value for name, value in given.items() if name in accepted})
    except ValueError as problem:
        raise ConfigError(f"application={application}: {str(problem).splitlines()[0]}") from problem


def _function(application: str) -> Any:
    names = [name for name, value in vars(keras.applications).items() if inspect.isfunction(value)]
    if application in names:
        return getattr(keras.applications, application)
    near = difflib.get_close_matches(application, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ConfigError(f"application={application}: not in keras.applications.{hint} Choose one of {', '.join(names)}.")


def _images(application: str, input_shape: tuple[int, int, int]) -> dict[str, Any]:
    """Returns the argument that says what the network reads."""
    if not application.startswith("EfficientNetB"):
        return {"input_shape": input_shape}
    # It always divides images by 255, which normalised images are not to be.
    return {"input_tensor": keras.layers.Rescaling(255.0)(keras.Input(input_shape))}
