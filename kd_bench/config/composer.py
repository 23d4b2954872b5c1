"""Composes the config of one run: Hydra composes the groups, then the values are set and compared with the preset."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from hydra import compose
from hydra.conf import HydraConf
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from kd_bench.config.explanations import unknown_key
from kd_bench.config.named_network import refuse_values_beside_names
from kd_bench.config.overrides import parsed, refuse_wrong_choice
from kd_bench.config.schema import RunConfig
from kd_bench.config.teacher_file import refuse_training
from kd_bench.errors import ConfigError, DataError

_PRESET_KEYS = ("experiment", "dataset", "dataset.name", "dataset.root", "dataset.path", "model", "method")
"""Groups whose choice puts a run into another table or row. It does not make the run a variant of the same row."""
_MISSING = {
    "dataset.root": "; set it to a folder with a folder of images per class; for ImageNet, to one with "
    "train/n01440764/n01440764_10026.JPEG and val/n01440764/ILSVRC2012_val_00000293.JPEG"
}
"""What to do about a value that a preset leaves to the user."""
NO_CHOICES = ("hydra", "published", "search")
"""Groups of which the user chooses nothing for a run."""


def composer(hydra: HydraConf) -> "Composer":
    """Returns the composer of the primary config in use. Each initialised Hydra has one, which composes a preset once.

    Args:
        hydra: the config of Hydra itself.
    """
    search_path = tuple(line for line in hydra.overrides.hydra if line.startswith("hydra.searchpath="))
    return _composer(GlobalHydra.instance().config_loader(), hydra.job.config_name, search_path)


@cache
def _composer(loader: ConfigLoader, name: str, search_path: tuple[str, ...]) -> "Composer":
    return Composer(loader, name, search_path)


class Composer:
    """Composes runs and remembers what it composed: one composition takes Hydra 50 ms.

    Attributes:
        groups: the groups of which a run has choices, including those on the search path.
    """

    def __init__(self, loader: ConfigLoader, name: str, search_path: Sequence[str]) -> None:
        self._loader = loader
        self._name = name
        self._search_path = list(search_path)
        self._overrides: dict[str, Override] = {}
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._presets: dict[tuple[str, ...], dict[str, Any]] = {}
        self.groups = [group for group in self._found("", ObjectType.GROUP) if group not in NO_CHOICES]

    def choices(self, group: str) -> list[str]:
        """Returns the choices of a group, including those on the search path."""
        return self._found(group, ObjectType.CONFIG)

    def _found(self, group: str, kind: ObjectType) -> list[str]:
        return sorted(self._loader.get_group_options(group, kind, self._name, self._search_path))

    def _compose(self, lines: tuple[str, ...]) -> DictConfig:
        if lines not in self._composed:
            self._composed[lines] = compose(self._name, [*self._search_path, *lines])
        return self._composed[lines]

    def run(self, lines: Sequence[str]) -> RunConfig:
        """Returns the checked config of the run with these overrides.

        Raises:
            ConfigError: a value is wrong; the message names the key, the value and what is allowed.
        """
        config = self._with_values(lines)
        return self.checked(containers(OmegaConf.create(config)) if _is_open(config) else config, lines)

    def checked(self, config: Mapping[str, Any], lines: Sequence[str]) -> RunConfig:
        """Checks a composed config. Some overrides choose the preset. Other differences from it make a variant.

        Raises:
            ConfigError: a value is wrong; the message names the key, the value and what is allowed.
        """
        groups, _ = self._parts(lines)
        if "path" in (config.get("teacher") or {}):
            refuse_training(lines)
        chosen = [line for line in lines if line.partition("=")[0] in _PRESET_KEYS]
        preset = self._preset(tuple(chosen))
        run = RunConfig.parse(config, preset, choices=self._preset(groups))
        method = preset["method"]["name"]
        if run.method.name != method and run.method.name in self.choices("method"):
            raise ConfigError(
                f"method.name={run.method.name}: is the name of another method than {method}; choose another one, or "
                "set method.label to rename a row."
            )
        return run.with_model_in_title() if self._is_other_model(run.model.name, chosen) else run

    def _is_other_model(self, name: str, chosen: Sequence[str]) -> bool:
        """Returns whether a model is another one than the preset has without the user's choice."""
        others = tuple(line for line in chosen if not line.startswith("model="))
        if len(others) == len(chosen):
            return False
        try:
            usual = self._preset(others)
        except HydraException:  # a preset of the user that leaves the model open
            return True
        return name != (usual.get("model") or {}).get("name")

    def _preset(self, lines: tuple[str, ...]) -> dict[str, Any]:
        if lines not in self._presets:
            self._presets[lines] = containers(self._compose(lines), may_miss=True)
        return self._presets[lines]

    def _with_values(self, lines: Sequence[str]) -> dict[str, Any]:
        """Composes the groups once, then sets each plain value in a copy."""
        groups, values = self._parts(lines)
        config: dict[str, Any] = OmegaConf.to_container(self._compose(groups))  # type: ignore[assignment]
        for override in values:
            _set(config, override.key_or_group, override.value())
        return config

    def _parts(self, lines: Sequence[str]) -> tuple[tuple[str, ...], list[Override]]:
        """Returns the lines that Hydra composes, and the overrides that each set one value of the result."""
        overrides = [self._parsed(line) for line in lines]
        refuse_values_beside_names(overrides)
        groups = (line for line, one in zip(lines, overrides, strict=True) if not self._is_plain(one))
        return tuple(groups), list(filter(self._is_plain, overrides))

    def _is_plain(self, override: Override) -> bool:
        """Returns whether an override sets one value. Hydra sets such values last, but it merges mappings."""
        key = override.key_or_group
        if "/" in key or key in self.groups or override.package is not None or override.is_sweep_override():
            return False
        return override.type is OverrideType.CHANGE and not isinstance(override.value(), dict)

    def _parsed(self, line: str) -> Override:
        if line not in self._overrides:
            (override,) = parsed([line])
            refuse_wrong_choice(override, self.groups)
            self._overrides[line] = override
        return self._overrides[line]


def _is_open(value: Any) -> bool:
    """Returns whether a value is or contains an interpolation or a missing value (`???`)."""
    if isinstance(value, dict | list):
        return any(map(_is_open, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and ("${" in value or value == "???")


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    """Sets a value of a config.

    Raises:
        ConfigError: a part of the key is not there.
    """
    node: Any = config
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            raise unknown_key(key, name, node)
        group, node = node, node[name]
    group[name] = value


def containers(config: DictConfig, *, may_miss: bool = False) -> dict[str, Any]:
    """Returns a composed config as plain containers, with its interpolations resolved.

    Args:
        config: the config that Hydra composed.
        may_miss: whether a value may still be `???`.

    Raises:
        ConfigError: a value is missing, or an interpolation cannot be resolved.
    """
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=not may_miss)  # type: ignore[return-value]
    except OmegaConfBaseException as problem:
        reason = str(problem.msg).splitlines()[0]
        kind, _, of_resolver = reason.partition(" raised while resolving interpolation: ")
        if kind in (ConfigError.__name__, DataError.__name__):  # its message names the key that the user has set
            raise ConfigError(of_resolver) from problem
        hint = _MISSING.get(str(problem.full_key), "") if isinstance(problem, MissingMandatoryValue) else ""
        raise ConfigError(f"{problem.full_key}: {(of_resolver or reason).rstrip('.')}{hint}.") from problem
