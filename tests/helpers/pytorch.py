"""What PyTorch computes with the networks of RepDistiller, for weights and images that follow a rule.

`networks/pytorch/expected.json.gz` has, for each architecture, the names and shapes of the state dict in its order,
the number of parameters, and of the two first images the logits and the first 100 values of the embedding; of all four
images the shape, mean and standard deviation of the maps at the stem and at the ends of the groups. PyTorch 2.13
computed them in float32 on a CPU, in evaluation mode (2.14 those of ShuffleV2), with 100 classes.
"""

import gzip
import json
import math
import zlib
from functools import cache

import numpy as np

from helpers.command import ROOT

ARCHITECTURES = {
    **{name: name for name in ("resnet8", "resnet20", "resnet32", "resnet56", "resnet8x4", "resnet32x4")},
    **{name: name for name in ("wrn_16_1", "wrn_16_2", "wrn_40_2", "vgg8", "vgg11", "vgg13")},
    **{"MobileNetV2": "mobilenet_v2", "ResNet50": "resnet50", "ShuffleV1": "shufflenet_v1"},
    "ShuffleV2": "shufflenet_v2",
}
"""The name in PyTorch's code -> the name here."""


@cache
def expected():
    """Returns what PyTorch computes, by the name of the architecture."""
    path = ROOT / "tests/networks/pytorch/expected.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def images():
    """Returns the four images, `[4,32,32,3]` float32."""
    return np.random.default_rng(0).normal(0, 1, (4, 3, 32, 32)).astype(np.float32).transpose(0, 2, 3, 1)


def tensors(architecture):
    """Returns the state dict of an architecture, by the rule."""
    return {name: tensor(name, tuple(shape)) for name, shape in expected()[architecture]["tensors"].items()}


def tensor(name, shape):
    """Returns a tensor of the state dict, which depends only on its name and shape."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        values = random.uniform(0.5, 1.5, shape)
    elif name.endswith("running_mean"):
        values = random.normal(0, 0.1, shape)
    elif len(shape) == 1 and name.endswith("weight"):
        values = random.uniform(0.4, 0.9, shape)
    elif len(shape) == 1:
        values = random.normal(0, 0.1, shape)
    else:
        values = random.normal(0, math.sqrt(1 / math.prod(shape[1:])), shape)
    return values.astype(np.float32)
