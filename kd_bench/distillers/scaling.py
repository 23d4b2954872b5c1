"""Scales published weights to feature maps and batches of other sizes than those for which they were published.

A loss that sums over the positions of a map grows with the size of the map. A loss that averages the squared difference
of maps of unit length becomes smaller as maps grow. The published weights belong to networks whose stem keeps the 32x32
positions of a CIFAR image. On other images, or after a stem with a stride, the same number has another effect.

A loss of B x B relations whose rows have a fixed size, averaged over all B**2 entries, falls as 1 / B: repeating every
sample of a batch halves it. Multiplied by B, it is a mean over samples, like the other losses.
"""

import math

import keras

from kd_bench.errors import ConfigError

PUBLISHED_POSITIONS = 32 * 32
"""Positions of the shallowest map in the networks for which the weights were published."""
PUBLISHED_BATCH = 64
"""The batch size of RepDistiller and mdistiller, for which the weights were published."""


def area_ratio(student: keras.Model, teacher: keras.Model) -> float:
    """Returns the positions of the shallowest map, relative to the published networks': 1 for 32x32 images.

    The shallowest map is the output of the first convolution, for all methods; of a network without one, such as a
    vision transformer, the first feature point. If the two networks differ, the smaller size counts, because the larger
    map is pooled to it.

    Args:
        student: a functional model.
        teacher: a functional model.

    Raises:
        ConfigError: a network has neither.
    """
    return min(_positions(student), _positions(teacher)) / PUBLISHED_POSITIONS


def _positions(network: keras.Model) -> int:
    for layer in network._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Conv2D):
            # The last call: a layer of a nested model was called before with images of any size.
            return math.prod(layer._inbound_nodes[-1].output_tensors[0].shape[1:3])
    if maps := network.output.get("post"):
        return math.prod(maps[0].shape[1:3])
    raise ConfigError("method.area_scaling=true: a network without convolutions has no maps; set it to false.")


def batch_ratio(batch_size: int) -> float:
    """Returns the size of the global batch, relative to the published one."""
    return batch_size / PUBLISHED_BATCH
