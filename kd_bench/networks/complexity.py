"""The multiply-adds of a network, counted in its TensorFlow graph, so that the network can have any layer."""

import contextlib
import math
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

_NAMES_OF_PRODUCTS = ("Conv", "MatMul", "Einsum", "RNN", "LSTM", "GRU", "Xla")
"""Parts of the names of operations that multiply matrices."""


def multiply_adds(network: keras.Model) -> int | None:
    """Returns the multiply-adds of one sample's forward pass through all convolutions and matrix products.

    Returns None if they are unknown: the shape of a sample is not fixed, or the graph has an operation that cannot be
    counted, for example a loop.
    """
    samples = [tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype) for tensor in network.inputs]
    if not all(sample.shape.is_fully_defined() for sample in samples):
        return None
    forward = tf.function(lambda *inputs: network(list(inputs) if len(inputs) > 1 else inputs[0], training=False))
    with _inlining():
        graph = forward.get_concrete_function(*samples).graph
    counts = [_count(operation) for operation in graph.get_operations()]
    return None if None in counts else sum(count for count in counts if count is not None)


@contextlib.contextmanager
def _inlining() -> Iterator[None]:
    """Puts the content of functions that a layer calls, as Keras's grouped convolutions do, into the traced graph."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _count(operation: tf.Operation) -> int | None:
    if operation.type in _COUNTS:
        shapes = [tensor.shape for tensor in (*operation.inputs, *operation.outputs)]
        return _COUNTS[operation.type](operation) if all(shape.is_fully_defined() for shape in shapes) else None
    calls_functions = any(attribute.HasField("func") for attribute in operation.node_def.attr.values())
    is_product = any(name in operation.type for name in _NAMES_OF_PRODUCTS)
    return None if calls_functions or is_product else 0


def _size(tensor: tf.Tensor) -> int:
    return math.prod(tensor.shape)


def _convolution(operation: tf.Operation) -> int:
    """Counts a convolution, of any number of groups, by its kernel `[..., C_in / groups, C_out]`."""
    kernel = operation.inputs[1].shape
    return _size(operation.outputs[0]) * math.prod(kernel[:-1])


def _depthwise_convolution(operation: tf.Operation) -> int:
    return _size(operation.outputs[0]) * math.prod(operation.inputs[1].shape[:2])


def _transposed_convolution(operation: tf.Operation) -> int:
    """Counts by input and kernel `[..., C_out, C_in]`: each input value meets C_out values per kernel position."""
    return _size(operation.inputs[2]) * math.prod(operation.inputs[1].shape[:-1])


def _product(operation: tf.Operation) -> int:
    attributes = operation.node_def.attr
    transposed = attributes["transpose_a"].b or attributes["adj_x"].b
    return _size(operation.outputs[0]) * operation.inputs[0].shape[-2 if transposed else -1]


def _einsum(operation: tf.Operation) -> int | None:
    equation = operation.get_attr("equation").decode()
    if "." in equation:
        return None
    labels = equation.partition("->")[0].split(",")
    sizes = {
        label: size
        for letters, tensor in zip(labels, operation.inputs, strict=True)
        for label, size in zip(letters, tensor.shape, strict=True)
    }
    return math.prod(sizes.values()) if len(labels) > 1 else 0


_COUNTS: dict[str, Callable[[tf.Operation], int | None]] = {
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise_convolution,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3DBackpropInputV2": _transposed_convolution,
    "MatMul": _product,
    "BatchMatMulV2": _product,
    "BatchMatMulV3": _product,
    "Einsum": _einsum,
}
