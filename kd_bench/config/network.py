"""The config of a network: a function that builds it, and the names of the layers that methods read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from kd_bench.checks import check, check_keys, join
from kd_bench.config.component import NOT_PARAMETERS, Component, read_target
from kd_bench.config.signature import keyword_only
from kd_bench.errors import ConfigError

MAPS = ("pre", "post", "passed")
"""The maps of a feature point."""

LAYERS = ("points", "embedding")
"""The keys that name layers."""

_APPLICATIONS = "keras.applications."
_BY_NAME = "kd_bench.networks.keras_applications.keras_application"
_OWN = (
    *("bottleneck_resnet", "imagenet_resnet", "mobilenet", "mobilenet_v2", "resnet", "shufflenet_v1"),
    *("shufflenet_v2", "vgg", "vit", "wide_resnet"),
)
_WITH_ALL_OUTPUTS = [f"kd_bench.networks.{name}" for name in _OWN]


@dataclass(frozen=True)
class Network(Component):
    """A network. `points` and `embedding` name layers, unless the target has a parameter of that name."""

    @classmethod
    def parse(cls, key: str, node: Any) -> Self:
        """Reads a config node that has a `_target_`."""
        target = read_target(key, node)
        if target.startswith(_APPLICATIONS):
            raise ConfigError(
                f"{key}._target_={target}: takes other arguments; write _target_: {_BY_NAME}, "
                f"application: {target.removeprefix(_APPLICATIONS)}, options: {{}}."
            )
        own = keyword_only(key, target)
        given = [name for name in node if name not in NOT_PARAMETERS]
        check_keys(key, given, {*own, *LAYERS}, optional={*own, *LAYERS})
        named = [name for name in LAYERS if name in given and name not in own]
        component = super().parse(key, {name: value for name, value in node.items() if name not in named})
        layers = {name: check_layers(join(key, name), node[name]) for name in named if node[name] is not None}
        return replace(component, parameters={**component.parameters, **layers})

    @property
    def is_own(self) -> bool:
        """Whether it is the user's network, or one of a library: it may lack outputs that a method reads."""
        return self.target.rpartition(".")[0] not in _WITH_ALL_OUTPUTS

    @property
    def layers(self) -> dict[str, Any]:
        """The parameters that name layers."""
        own = keyword_only("model", self.target)
        return {name: value for name, value in self.parameters.items() if name in LAYERS and name not in own}

    def build(self, *given: Any, **late: Any) -> Any:
        """Calls the target, without the names of layers."""
        own = {name: value for name, value in self.parameters.items() if name not in self.layers}
        return self.load()(*given, **own, **late)


def check_layers(key: str, value: Any) -> Any:
    """Returns the value of a key of `LAYERS`.

    Raises:
        ConfigError: it is no name of a layer, or no list of names.
    """
    if value is None or key.endswith("embedding"):
        return check(key, value, str | None)
    if not isinstance(value, list) or not value or not all(map(_is_point, value)):
        raise ConfigError(
            f"{key}={value}: must be a list of layers, shallow to deep, such as [block_1,block_2] or "
            "[{post: relu_1, passed: add_1}]."
        )
    return value


def _is_point(value: Any) -> bool:
    by_map = {"post": value} if isinstance(value, str) else value
    if not isinstance(by_map, Mapping) or "post" not in by_map:
        return False
    return all(kind in MAPS and isinstance(name, str) for kind, name in by_map.items())
