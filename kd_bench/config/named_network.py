"""Networks that a config names instead of describing them: `model.student=resnet8x4`, a file of `conf/network`."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from kd_bench.config.choices import no_such_choice
from kd_bench.config.network import Network
from kd_bench.errors import ConfigError
from kd_bench.installation import CONF

_GROUP = "network"
_SIDES = ("teacher", "student")
_ELSEWHERE = {
    **{"mobile_half": "mobilenet_v2", "mobilenetv2": "mobilenet_v2", "shufflev1": "shufflenet_v1"},
    **{"shufflev2": "shufflenet_v2", "vgg8_bn": "vgg8", "vgg11_bn": "vgg11", "vgg13_bn": "vgg13"},
}
"""Names of RepDistiller and mdistiller, in small letters -> ours, where they differ."""


def with_networks(node: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the config of a pair with the configs of the networks that it names; two names make the pair's name.

    Raises:
        ConfigError: there is no network of a name.
    """
    named = {side: node[side] for side in _SIDES if isinstance(node.get(side), str)}
    found = {side: _network(f"model.{side}", name) for side, name in named.items()}
    both = {"name": "_".join(named.values())} if len(named) == len(_SIDES) else {}
    return {**node, **found, **both}


def own_networks() -> dict[str, Network]:
    """Returns the package's own networks by their names. Unlike Hydra, it can be asked at any time."""
    return {path.stem: Network.parse(_GROUP, _own(path.stem)) for path in sorted((CONF / _GROUP).glob("*.yaml"))}


def _own(name: str) -> dict[str, Any]:
    node: dict[str, Any] = yaml.safe_load((CONF / _GROUP / f"{name}.yaml").read_text(encoding="utf-8"))
    based_on = [base for base in node.pop("defaults", ()) if base != "_self_"]
    return {key: value for base in based_on for key, value in _own(base).items()} | node


def refuse_values_beside_names(overrides: Sequence[Override]) -> None:
    """Raises `ConfigError` if an override sets a value of a network that another one names, because Hydra loses one."""
    for named in overrides:
        values = f"{named.key_or_group}."
        if named.key_or_group not in map("model.{}".format, _SIDES) or isinstance(named.value(), dict):
            continue
        if value := next((one for one in overrides if one.key_or_group.startswith(values)), None):
            raise ConfigError(
                f"{value.input_line}: {named.input_line} replaces the whole network; to change a value of it, write "
                f"network@{named.input_line} and a pair of the literature, such as model=vgg13_vgg8."
            )


def _network(key: str, name: str) -> dict[str, Any]:
    choices = GlobalHydra.instance().config_loader().get_group_options(_GROUP, ObjectType.CONFIG)
    if name not in choices:
        ours = _ELSEWHERE.get(name.lower(), name.lower() if name.lower() in choices else None)
        raise ConfigError(no_such_choice(f"{key}={name}", "network", name, choices, ours))
    composed = OmegaConf.to_container(compose(f"{_GROUP}/{name}"))
    assert isinstance(composed, dict)
    found: dict[str, Any] = composed[_GROUP]
    return found
