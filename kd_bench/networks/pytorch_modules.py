"""The names that the modules of our networks have in PyTorch, in the code of the distillation benchmarks.

RepDistiller and mdistiller name them alike; their checkpoints hold a tensor for each, such as `layer1.0.conv1.weight`.
Here, Keras numbers the layers of each kind in the order in which a network is built, such as `conv2d_1`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kd_bench.errors import ConfigError
from kd_bench.networks import bottleneck_resnet, mobilenet_v2, resnet, shufflenet_v1, shufflenet_v2, vgg, wide_resnet

_CONVOLUTION, _DEPTHWISE, _NORM = "conv2d", "depthwise_conv2d", "batch_normalization"
_CLASSIFIER = "logits"

_Built = Iterator[tuple[str, str]]
"""The kind of each layer that has weights, and its name in PyTorch, in the order in which ours are built."""


@dataclass(frozen=True)
class Modules:
    """A network's layers with weights, as PyTorch has them.

    Attributes:
        names: the names of the modules by the names of our layers; a batch norm follows its convolution. The layers
            of a convolution by parts have one module.
        biased: whether the convolutions have a bias, which ours have not, because a batch norm follows them.
    """

    names: Mapping[str, str]
    biased: bool


def modules_of(key: str, target: str, parameters: Mapping[str, Any]) -> Modules:
    """Returns the modules that a network of this package has in PyTorch.

    Args:
        key: of the network's config, such as `model.teacher`, for messages.
        target: the import path of the function that builds the network.
        parameters: what the config gives to it.

    Raises:
        ConfigError: PyTorch's code has no such network, or computes something else with it.
    """
    kind = target.rpartition(".")[2]
    if target != f"kd_bench.networks.{kind}.{kind}" or kind not in _MODULES:
        raise ConfigError(f"{key}._target_={target}: has no PyTorch names; {', '.join(_MODULES)} have.")
    built, fixed = _MODULES[kind]
    for name, there in fixed.items():
        if (here := parameters.get(name, "same" if name == "padding" else None)) != there:
            raise ConfigError(
                f"{key}.{name}={here}: in PyTorch's code this network has {name}={there}, and with another value the "
                f"same weights are another function; choose a network with {name}={there}."
            )
    return Modules(_numbered(built(parameters)), biased=kind == "vgg")


def _numbered(modules: _Built) -> dict[str, str]:
    """Returns the modules' names by the names that Keras gives to layers: `conv2d`, `conv2d_1`, ..."""
    built: Counter[str] = Counter()
    names = {}
    for kind, name in modules:
        names[f"{kind}_{built[kind]}" if built[kind] else kind] = name
        built[kind] += 1
    return names


def _resnet(parameters: Mapping[str, Any]) -> _Built:
    yield from _pair("conv1", "bn1")
    for group in range(resnet.GROUPS):
        for block in range((parameters["depth"] - 2) // (2 * resnet.GROUPS)):
            place = f"layer{group + 1}.{block}"
            yield from _pair(f"{place}.conv1", f"{place}.bn1")
            yield from _pair(f"{place}.conv2", f"{place}.bn2")
            if block == 0 and (group > 0 or parameters["width"] > 1):
                yield from _pair(f"{place}.downsample.0", f"{place}.downsample.1")
    yield _CLASSIFIER, "fc"


def _wide_resnet(parameters: Mapping[str, Any]) -> _Built:
    yield _CONVOLUTION, "conv1"
    for group in range(wide_resnet.GROUPS):
        for block in range((parameters["depth"] - 4) // (2 * wide_resnet.GROUPS)):
            place = f"block{group + 1}.layer.{block}"
            yield _NORM, f"{place}.bn1"
            if block == 0 and (group > 0 or parameters["width"] > 1):
                yield _CONVOLUTION, f"{place}.convShortcut"
            yield _CONVOLUTION, f"{place}.conv1"
            yield _NORM, f"{place}.bn2"
            yield _CONVOLUTION, f"{place}.conv2"
    yield _NORM, "bn1"
    yield _CLASSIFIER, "fc"


def _vgg(parameters: Mapping[str, Any]) -> _Built:
    for block, convolutions in enumerate(vgg.CONVOLUTIONS[parameters["depth"]]):
        for place in range(0, 3 * convolutions, 3):  # each with its batch norm and ReLU
            yield from _pair(f"block{block}.{place}", f"block{block}.{place + 1}")
    yield _CLASSIFIER, "classifier"


def _bottleneck_resnet(parameters: Mapping[str, Any]) -> _Built:
    yield from _pair("conv1", "bn1")
    for group, blocks in enumerate(bottleneck_resnet.BLOCKS[parameters["depth"]], start=1):
        for block in range(blocks):
            place = f"layer{group}.{block}"
            for number in (1, 2, 3):
                yield from _pair(f"{place}.conv{number}", f"{place}.bn{number}")
            if block == 0:
                yield from _pair(f"{place}.shortcut.0", f"{place}.shortcut.1")
    yield _CLASSIFIER, "linear"


def _mobilenet_v2(_: Mapping[str, Any]) -> _Built:
    yield from _pair("conv1.0", "conv1.1")
    for stage, (_channels, blocks, _stride) in enumerate(mobilenet_v2.STAGES):
        for block in range(blocks):
            place = f"blocks.{stage}.{block}.conv"
            yield from _pair(f"{place}.0", f"{place}.1")
            yield from _pair(f"{place}.3", f"{place}.4", _DEPTHWISE)
            yield from _pair(f"{place}.6", f"{place}.7")
    yield from _pair("conv2.0", "conv2.1")
    yield _CLASSIFIER, "classifier.0"


def _shufflenet_v1(parameters: Mapping[str, Any]) -> _Built:
    yield from _pair("conv1", "bn1")
    for group, blocks in enumerate(shufflenet_v1.BLOCKS, start=1):
        for block in range(blocks):
            place, is_first = f"layer{group}.{block}", group == 1 and block == 0
            yield from [(_CONVOLUTION, f"{place}.conv1")] * (1 if is_first else parameters["parts"])
            yield _NORM, f"{place}.bn1"
            yield from _pair(f"{place}.conv2", f"{place}.bn2", _DEPTHWISE)
            yield from [(_CONVOLUTION, f"{place}.conv3")] * parameters["parts"]
            yield _NORM, f"{place}.bn3"
    yield _CLASSIFIER, "linear"


def _shufflenet_v2(_: Mapping[str, Any]) -> _Built:
    yield from _pair("conv1", "bn1")
    for group, blocks in enumerate(shufflenet_v2.BLOCKS, start=1):
        for number, kind in enumerate((_DEPTHWISE, _CONVOLUTION, _CONVOLUTION, _DEPTHWISE, _CONVOLUTION), start=1):
            yield from _pair(f"layer{group}.0.conv{number}", f"layer{group}.0.bn{number}", kind)
        for block in range(1, blocks):
            for number, kind in enumerate((_CONVOLUTION, _DEPTHWISE, _CONVOLUTION), start=1):
                yield from _pair(f"layer{group}.{block}.conv{number}", f"layer{group}.{block}.bn{number}", kind)
    yield from _pair("conv2", "bn2")
    yield _CLASSIFIER, "linear"


def _pair(convolution: str, norm: str, kind: str = _CONVOLUTION) -> _Built:
    yield kind, convolution
    yield _NORM, norm


_SYMMETRIC = {"padding": "symmetric"}
_MODULES: dict[str, tuple[Callable[[Mapping[str, Any]], _Built], Mapping[str, Any]]] = {
    "resnet": (_resnet, _SYMMETRIC | {"shortcut": "projection", "stem_stride": 1}),
    "wide_resnet": (_wide_resnet, _SYMMETRIC | {"stem_stride": 1}),
    "vgg": (_vgg, _SYMMETRIC),
    "bottleneck_resnet": (_bottleneck_resnet, _SYMMETRIC | {"stem_stride": 1}),
    "mobilenet_v2": (_mobilenet_v2, _SYMMETRIC | {"stem_stride": 2}),
    "shufflenet_v1": (_shufflenet_v1, _SYMMETRIC),
    "shufflenet_v2": (_shufflenet_v2, _SYMMETRIC),
}
"""By the function that builds a network: its modules, and the values of parameters that PyTorch's code fixes."""
