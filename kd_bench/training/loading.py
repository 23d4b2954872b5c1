"""Loads a trained network from a file as a teacher, with the contract of the package's own networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_bench.data.normalisation import IMAGENET_MEAN, IMAGENET_STD
from kd_bench.errors import ConfigError
from kd_bench.networks.by_layer_name import by_layer_name
from kd_bench.networks.pytorch_modules import Modules
from kd_bench.training.fitting import fitting
from kd_bench.training.keras_file import OtherKerasError, load_keras_file
from kd_bench.training.pytorch_file import read_state_dict
from kd_bench.training.saving import INNER, NORMALISATION, READY_TO_USE
from kd_bench.training.state_dict import OtherNetworkError, load_state_dict

_CIFAR100_MEAN, _CIFAR100_STD = np.array([0.5071, 0.4867, 0.4408]), np.array([0.2675, 0.2565, 0.2761])
"""Of pixels on the scale 0 to 1, as RepDistiller and mdistiller round them."""
_SCALES: dict[str, tuple[Any, Any]] = {
    "zero_to_one": (1 / 255, 0.0),
    "minus_one_to_one": (2 / 255, -1.0),
    "cifar100": (1 / (255 * _CIFAR100_STD), -_CIFAR100_MEAN / _CIFAR100_STD),
    "imagenet": (1 / (255 * IMAGENET_STD), -IMAGENET_MEAN / IMAGENET_STD),
}
"""By the name of a normalisation: the scale and the offset of pixels on the scale 0 to 255."""
_SUM_TOLERANCE = 1e-2
_MIN_SKILL = 0.2
"""The share of the way from guessing to no error. A teacher below it gives a warning."""


def as_teacher(
    model: keras.Model,
    image_shape: tuple[int, int, int],
    num_classes: int,
    mean: np.ndarray,
    std: np.ndarray,
    normalisation: str,
    *,
    at_once: bool = False,
    **layers: Any,
) -> keras.Model:
    """Returns the network of a file as a functional model from the images of the batches to its outputs by name.

    Args:
        model: what `by_layer_name` takes, such as the result of `load_model`.
        image_shape: height, width and channels of an image.
        num_classes: K.
        mean: `[C]`, on the scale 0 to 255: the batches have (image - mean) / std.
        std: `[C]`.
        normalisation: as in `TeacherFile`.
        at_once: whether one layer makes its images of those of the batches, which all formats can express. Otherwise
            one makes pixels of them, and a second one its images.
        **layers: the points and the embedding for `by_layer_name`.

    Raises:
        ConfigError: the model takes other images, or returns no logits of K classes.
    """
    if normalisation in ("cifar100", "imagenet") and image_shape[-1] != len(_CIFAR100_MEAN):
        raise ConfigError(
            f"teacher.normalisation={normalisation}: has 3 channels, and the images have {image_shape[-1]}."
        )
    network = by_layer_name("teacher", model, image_shape, num_classes, **layers)
    images = keras.Input(image_shape)
    # Each layer is called again, so that it belongs to the graph of the new model.
    read = (_renormalised if at_once else _rescaled)(images, mean, std, normalisation)
    outputs = network._run_through_graph(read)
    return keras.Model(images, outputs, name="teacher")


def require_no_probabilities(outputs: tf.Tensor) -> None:
    """Checks that a teacher's outputs `[B,K]` are not probabilities. The last layer alone does not always show it.

    Raises:
        ConfigError: they are between 0 and 1, and each image's sum is 1.
    """
    values = np.asarray(outputs, np.float32)
    if values.min() >= 0 and np.abs(values.sum(axis=1) - 1).max() < _SUM_TOLERANCE:
        raise ConfigError(
            "teacher.path: the network returns probabilities, not logits; save it without the softmax at its end, e.g. "
            "with classifier_activation=None."
        )


def accuracy_warnings(accuracy: float, labels: np.ndarray) -> list[str]:
    """Returns a warning if a teacher's accuracy is near that of always the most frequent class.

    Args:
        accuracy: in [0, 1].
        labels: of the images on which it was measured, `[N]`.
    """
    guessing = np.bincount(labels).max() / len(labels)
    if accuracy >= guessing + _MIN_SKILL * (1 - guessing):
        return []
    return [
        f"the teacher's accuracy is only {accuracy:.2%}: does it take other images (teacher.normalisation), or are its "
        "classes in another order?"
    ]


def load_model(path: Path) -> keras.Model:
    """Returns the model of a file; for one of `save_network`, with all outputs of the trained network.

    Raises:
        ConfigError: it cannot be loaded, or has weights that are not finite.
    """
    try:
        saved = load_keras_file(path)
    except OtherKerasError as problem:
        raise ConfigError(f"teacher.path={path}: {problem}.") from problem
    except ValueError as problem:
        reason = str(problem).partition(". ")[0].rstrip(".")
        raise ConfigError(
            f"teacher.path={path}: cannot be loaded; a layer is not Keras's own or is a Lambda, or the file is damaged "
            f"({reason})."
        ) from problem
    if not all(np.isfinite(weight).all() for weight in saved.get_weights()):
        raise ConfigError(f"teacher.path={path}: some of its weights are not finite; its training has failed.")
    if saved.name != READY_TO_USE:
        return saved
    images = keras.Input(saved.input_shape[1:])
    return keras.Model(images, saved.get_layer(INNER)(saved.get_layer(NORMALISATION)(images)))


def load_pytorch_weights(path: Path, network: keras.Model, modules: Modules) -> None:
    """Gives a network of this package the weights of a file of PyTorch or of safetensors.

    Raises:
        ConfigError: the file cannot be read, or its weights are not those of the network.
    """
    try:
        tensors = read_state_dict(path)
        load_state_dict(network, modules, tensors)
    except OtherNetworkError as problem:
        reason = _fitting(tensors, network) or problem.question
        raise ConfigError(f"teacher.path={path}: {problem.difference}; {reason}") from problem
    except ValueError as problem:
        raise ConfigError(f"teacher.path={path}: {problem}.") from problem


def _fitting(tensors: Mapping[str, np.ndarray], network: keras.Model) -> str | None:
    """Returns a sentence about the network of which the tensors are, from images as those of another network."""
    found = fitting(tensors, network.input_shape[1:])
    if found is None:
        return None
    name, classes = found
    known = network.output["logits"].shape[-1]
    data = "" if classes == known else f", with {classes} classes, and the data have {known}"
    return f"all its tensors are those of model.teacher={name}{data}."


def _rescaled(images: keras.KerasTensor, mean: np.ndarray, std: np.ndarray, normalisation: str) -> keras.KerasTensor:
    if normalisation == "dataset":
        return images
    options = {"mean": mean, "variance": std**2, "invert": True, "dtype": "float32"}
    pixels = keras.layers.Normalization(**options, name="teacher_pixels")(images)
    if normalisation == "none":
        return pixels
    scale, offset = (np.asarray(values).tolist() for values in _SCALES[normalisation])
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="teacher_scale")(pixels)


def _renormalised(
    images: keras.KerasTensor, mean: np.ndarray, std: np.ndarray, normalisation: str
) -> keras.KerasTensor:
    """Returns what `_rescaled` does, by one layer: scale * (std * x + mean) + offset."""
    if normalisation == "dataset":
        return images
    scale, offset = _SCALES[normalisation]
    factors, terms = (std * scale).tolist(), (mean * scale + offset).tolist()
    return keras.layers.Rescaling(factors, terms, dtype="float32", name="renormalised")(images)
