"""The formats: how Keras's `Model.export` writes a network in each, and how the result is executed on one thread."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_bench.errors import BenchError, DamageError
from kd_bench.export import pytorch
from kd_bench.export.finished import Finished
from kd_bench.training import hardware
from kd_bench.training.keras_file import load_keras_file
from kd_bench.training.saving import INNER, NORMALISATION, READY_TO_USE


@dataclass(frozen=True)
class Runtime:
    """An exported network, ready to be executed.

    Attributes:
        prepare: from images, uint8 `[B,H,W,C]`, to its input.
        logits: from its input to logits, float32 `[B,K]`.
        is_own: whether the format's own program executes it, so that its time says something.
    """

    prepare: Callable[[np.ndarray], np.ndarray]
    logits: Callable[[np.ndarray], np.ndarray]
    is_own: bool = True


def use_one_thread() -> None:
    """Makes TensorFlow compute on one thread of the CPU. Must be called before it computes anything."""
    hardware.strategy(device="cpu", replicas=1, threads=1)


def load_network(path: Path) -> keras.Model:
    """Returns the network of a run, which takes images on the scale 0 to 255, as all formats can express it.

    Raises:
        BenchError: it cannot be loaded, or takes other images.
    """
    try:
        saved = load_keras_file(path)
    except ValueError as problem:
        raise DamageError(f"{path}: cannot be loaded ({problem}).") from problem
    if saved.name != READY_TO_USE:
        raise BenchError(
            f"{path}: does not normalise its images itself: it is a copy of a teacher's file, or an earlier version "
            "wrote it. Export the teacher's file with Keras, or repeat the run with redo=true."
        )
    normalisation = saved.get_layer(NORMALISATION)
    mean, std = np.ravel(normalisation.mean), np.sqrt(np.ravel(normalisation.variance))
    images = keras.Input(saved.input_shape[1:], name="images")
    # The ONNX of a `Normalization` lacks mean and variance.
    normalised = keras.layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name=NORMALISATION)(images)
    return keras.Model(images, saved.get_layer(INNER)(normalised)["logits"], name=READY_TO_USE)


def write(form: str, network: keras.Model, path: Path, run: Finished) -> None:
    """Writes a network in a format of `ARTEFACTS`.

    Args:
        form: the format.
        network: the result of `load_network`.
        path: of the new file or folder.
        run: the network's; from its `examples`, `litert_int8` learns the ranges of all values.

    Raises:
        BenchError: the network cannot be expressed in this format.
    """
    if form == "pytorch":
        pytorch.write(network, path, run)
        return
    name = {"saved_model": "tf_saved_model", "litert_int8": "litert"}.get(form, form)
    options = _integers(run.examples()) if form == "litert_int8" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converters, about NumPy
        network.export(path, format=name, verbose=False, **options)


def _integers(examples: np.ndarray) -> dict[str, Any]:
    """Returns the converter's options for 8-bit integers everywhere: weights, activations, images and logits."""
    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": lambda: ([image[np.newaxis].astype(np.float32)] for image in examples),
        "target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
        "inference_input_type": tf.uint8,
        "inference_output_type": tf.uint8,
    }


def load(form: str, path: Path, network: keras.Model, run: Finished) -> Runtime:
    """Loads an exported network. For `saved_model`, call `use_one_thread` before.

    Args:
        form: the format.
        path: of the file or folder.
        network: the result of `load_network`. A copy of it computes with the weights of a `pytorch` file.
        run: the network's.
    """
    if form == "pytorch":
        return Runtime(_floats, pytorch.load(path, network, run), is_own=False)
    return _RUNTIMES[form](path)


def _saved_model(path: Path) -> Runtime:
    loaded = tf.saved_model.load(path)
    return Runtime(_floats, lambda images: loaded.serve(images).numpy())


def _litert(path: Path) -> Runtime:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moves to another package in a later TensorFlow
        interpreter = tf.lite.Interpreter(str(path), num_threads=1)
    (given,), (returned,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = given["quantization"]

    def prepare(images: np.ndarray) -> np.ndarray:
        values = np.rint(images / scale + zero) if scale else images
        return np.clip(values, 0, 255).astype(given["dtype"])

    def logits(images: np.ndarray) -> np.ndarray:
        if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
            interpreter.resize_tensor_input(given["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], images)
        interpreter.invoke()
        return _dequantised(interpreter.get_tensor(returned["index"]), *returned["quantization"])

    interpreter.allocate_tensors()
    return Runtime(prepare, logits)


def _onnx(path: Path) -> Runtime:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return Runtime(_floats, lambda images: session.run(None, {given.name: images})[0])


_RUNTIMES = {"saved_model": _saved_model, "litert": _litert, "litert_int8": _litert, "onnx": _onnx}


def _floats(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32)


def _dequantised(values: np.ndarray, scale: float, zero: int) -> np.ndarray:
    """Returns the numbers that 8-bit integers stand for; numbers without a scale as they are."""
    return (values.astype(np.float32) - zero) * scale if scale else values
