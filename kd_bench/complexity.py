"""Counts multiply-adds in TensorFlow graphs, so that networks and methods can have any layer.

What counts: convolutions, matrix products and their gradients, and decompositions of matrices. Additions, activations
and normalisations do not count, as usual in the literature.
"""

import math
from collections.abc import Callable, Iterable, Mapping

import keras
import tensorflow as tf

_NAMES_OF_PRODUCTS = ("Conv", "MatMul", "Einsum", "RNN", "LSTM", "GRU", "Xla")
"""Parts of the names of operations that multiply matrices."""
_FUNCTIONS = {
    "PartitionedCall": ("f",),
    "StatefulPartitionedCall": ("f",),
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
}
"""Operations that execute another graph, and the attributes that name it. Of two branches, the larger one counts."""
_NAMES_OF_UPDATES = ("Assign", "ResourceApply", "ResourceScatter", "StatefulPartitionedCall")
"""Parts of the names of operations that change a variable."""


def multiply_adds(network: keras.Model) -> int | None:
    """Returns the multiply-adds of one sample's forward pass.

    Returns None if they are unknown: the shape of a sample is not fixed, or the graph has an operation that cannot be
    counted, for example a loop.
    """
    samples = [tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype) for tensor in network.inputs]
    if not all(sample.shape.is_fully_defined() for sample in samples):
        return None

    def call(*inputs: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return network(list(inputs) if len(inputs) > 1 else inputs[0], training=False)

    forward = tf.function(call, autograph=False)
    return _total(forward.get_concrete_function(*samples).graph.get_operations())


def multiply_adds_of_updates(graph: tf.Graph) -> int | None:
    """Returns the multiply-adds of all that a graph's changes of variables depend on, such as those of a training step.

    TensorFlow does not execute the rest of a training step's graph. Returns None as `multiply_adds` does.
    """
    waiting = [operation for operation in graph.get_operations() if _is_update(operation)]
    needed = set(waiting)
    while waiting:
        operation = waiting.pop()
        producers = {*(tensor.op for tensor in operation.inputs), *operation.control_inputs} - needed
        needed |= producers
        waiting += producers
    return _total(needed)


def _is_update(operation: tf.Operation) -> bool:
    return operation.type in ("If", "While") or any(name in operation.type for name in _NAMES_OF_UPDATES)


def _total(operations: Iterable[tf.Operation]) -> int | None:
    counts = [_count(operation) for operation in operations]
    return None if None in counts else sum(count for count in counts if count is not None)


def _count(operation: tf.Operation) -> int | None:
    if operation.type in _FUNCTIONS:
        functions = [operation.get_attr(attribute).name for attribute in _FUNCTIONS[operation.type]]
        totals = [_total(operation.graph._get_function(name).graph.get_operations()) for name in functions]
        return None if None in totals else max(total for total in totals if total is not None)
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
    return _size(operation.outputs[0]) * math.prod(operation.inputs[1].shape[:-1])


def _convolution_to_inputs(operation: tf.Operation) -> int:
    """Counts the gradient of a convolution's inputs, which is also a transposed convolution."""
    return _size(operation.inputs[2]) * math.prod(operation.inputs[1].shape[:-1])


def _convolution_to_kernel(operation: tf.Operation) -> int:
    """Counts the gradient of a convolution's kernel."""
    return _size(operation.inputs[2]) * math.prod(operation.outputs[0].shape[:-1])


def _depthwise(operation: tf.Operation) -> int:
    return _size(operation.outputs[0]) * math.prod(operation.inputs[1].shape[:2])


def _depthwise_to_inputs(operation: tf.Operation) -> int:
    return _size(operation.inputs[2]) * math.prod(operation.inputs[1].shape[:2])


def _depthwise_to_kernel(operation: tf.Operation) -> int:
    return _size(operation.inputs[2]) * math.prod(operation.outputs[0].shape[:2])


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


def _eigendecomposition(operation: tf.Operation) -> int:
    """Counts 4.5 n**3 for each n x n matrix: Golub, Van Loan, "Matrix Computations", 4th edition, section 8.3."""
    *batch, size, _ = operation.inputs[0].shape
    return math.prod(batch) * 9 * size**3 // 2


def _singular_values(operation: tf.Operation) -> int:
    """Counts 3 m n**2 + 10 n**3 for each m x n matrix with m >= n: Golub, Van Loan, figure 8.6.1, R-SVD."""
    *batch, rows, columns = operation.inputs[0].shape
    small, large = sorted((rows, columns))
    return math.prod(batch) * (3 * large * small**2 + 10 * small**3)


_COUNTS: dict[str, Callable[[tf.Operation], int | None]] = {
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "Conv2DBackpropInput": _convolution_to_inputs,
    "Conv3DBackpropInputV2": _convolution_to_inputs,
    "Conv2DBackpropFilter": _convolution_to_kernel,
    "Conv3DBackpropFilterV2": _convolution_to_kernel,
    "DepthwiseConv2dNative": _depthwise,
    "DepthwiseConv2dNativeBackpropInput": _depthwise_to_inputs,
    "DepthwiseConv2dNativeBackpropFilter": _depthwise_to_kernel,
    "MatMul": _product,
    "BatchMatMulV2": _product,
    "BatchMatMulV3": _product,
    "Einsum": _einsum,
    "SelfAdjointEigV2": _eigendecomposition,
    "Svd": _singular_values,
}
