"""What a `_target_` in the config builds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from hydra.utils import get_object

from kd_bench.checks import check
from kd_bench.config import NAMES, TARGET
from kd_bench.config.signature import check_parameters
from kd_bench.errors import ConfigError

NOT_PARAMETERS = (TARGET, *NAMES)
"""The keys of a component's config that are no parameters of its target."""


@dataclass(frozen=True)
class Component:
    """An object that `_target_` builds: a network, distiller, dataset, optimizer or strategy.

    Attributes:
        target: import path of the function or class.
        parameters: its keyword-only parameters, checked against its signature.
    """

    target: str
    parameters: dict[str, Any]

    @classmethod
    def parse(cls, key: str, node: Any) -> Self:
        """Reads a config node that has a `_target_`."""
        target = read_target(key, node)
        parameters = {name: value for name, value in node.items() if name not in NOT_PARAMETERS}
        return cls(target, check_parameters(key, target, parameters))

    def build(self, *given: Any, **late: Any) -> Any:
        """Calls the target with the arguments of the code and the parameters of the config."""
        # Hydra's `instantiate` would hide an error of the target inside an error of Hydra.
        return self.load()(*given, **self.parameters, **late)

    def load(self) -> Any:
        """Imports the target."""
        return get_object(self.target)


def read_target(key: str, node: Any) -> str:
    """Returns the import path in a config node.

    Raises:
        ConfigError: the node has no `_target_`, or that is no text.
    """
    if not isinstance(node, Mapping) or TARGET not in node:
        raise ConfigError(f"{key}={node}: must be a group with a `_target_`.")
    return check(f"{key}._target_", node[TARGET], str)
