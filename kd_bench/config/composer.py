"""Composes the config of one run: Hydra composes the groups, then the values are set and compared with the preset."""

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import OmegaConf

from kd_bench.checks import unknown
from kd_bench.config.library import Library, containers
from kd_bench.config.overrides import parsed
from kd_bench.config.schema import RunConfig, TeacherFile
from kd_bench.config.teacher_file import refuse_training
from kd_bench.errors import ConfigError

_PRESET_KEYS = ("experiment", "dataset", "dataset.name", "dataset.root", "dataset.path", "model", "method")
"""Groups whose choice puts a run into another table or row. It does not make the run a variant of the same row."""


def composer(name: str, search: Sequence[str]) -> "Composer":
    """Returns the composer of a primary config. Each initialised Hydra has one, which composes each preset once.

    Args:
        name: the name of the primary config.
        search: the override of `hydra.searchpath`, if there is one.
    """
    return _composer(GlobalHydra.instance().config_loader(), name, tuple(search))


@cache
def _composer(loader: ConfigLoader, name: str, search: tuple[str, ...]) -> "Composer":
    return Composer(Library(loader, name, search))


class Composer:
    """Composes runs and remembers what it composed: one composition takes Hydra 50 ms.

    Attributes:
        library: the available configs.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self._overrides: dict[str, Override] = {}
        self._composed: dict[tuple[str, ...], dict[str, Any]] = {}
        self._presets: dict[tuple[str, ...], dict[str, Any]] = {}

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
        chosen = [line for line in lines if line.partition("=")[0] in _PRESET_KEYS]
        preset = self._preset(tuple(chosen))
        choices = self._preset(tuple(line for line in lines if not self._is_plain(self._parsed(line))))
        run = RunConfig.parse(config, preset, choices)
        method = preset["method"]["name"]
        if run.method.name != method and run.method.name in self.library.choices("method"):
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
        except ConfigError:  # a preset of the user that leaves the model open
            return True
        return name != (usual.get("model") or {}).get("name")

    def _preset(self, lines: tuple[str, ...]) -> dict[str, Any]:
        if lines not in self._presets:
            self._presets[lines] = containers(self.library.compose(lines), may_miss=True)
        return self._presets[lines]

    def require_keys(self, overrides: Sequence[Override]) -> None:
        """Refuses a value if its key exists only in the choices of a sweep. Hydra first composes without these choices.

        Raises:
            ConfigError: there is such a value; the message names the key and says what to write.
        """
        swept = {override.key_or_group for override in overrides if override.is_sweep_override()}
        for override in overrides:
            if override.key_or_group.split(".")[0] in swept and self._is_plain(override):
                try:
                    self._with_values([*self.shared(overrides), str(override.input_line)])
                except ConfigError as problem:
                    line = f"{override.key_or_group}=choice({override.get_value_element_as_str()})"
                    raise ConfigError(f"{problem} If the choices of the sweep have the key, write {line}.") from problem

    def shared(self, overrides: Sequence[Override]) -> list[str]:
        """Returns the overrides that all runs of a sweep share, without plain values."""
        return [str(one.input_line) for one in overrides if not one.is_sweep_override() and not self._is_plain(one)]

    def _with_values(self, lines: Sequence[str]) -> dict[str, Any]:
        """Composes the groups once, then sets each plain value in a copy."""
        overrides = [self._parsed(line) for line in lines]
        groups = tuple(line for line, override in zip(lines, overrides, strict=True) if not self._is_plain(override))
        if groups not in self._composed:
            self._composed[groups] = OmegaConf.to_container(self.library.compose(groups))  # type: ignore[assignment]
        config = copy.deepcopy(self._composed[groups])
        if "path" in (config.get("teacher") or {}):
            refuse_training(lines, TeacherFile.keys())
        for override in filter(self._is_plain, overrides):
            _set(config, override.key_or_group, override.value())
        return config

    def _is_plain(self, override: Override) -> bool:
        """Returns whether an override sets one value. Hydra sets such values last, but it merges mappings."""
        key = override.key_or_group
        if "/" in key or key in self.library.groups or override.package is not None or override.is_sweep_override():
            return False
        return override.type is OverrideType.CHANGE and not isinstance(override.value(), dict)

    def _parsed(self, line: str) -> Override:
        if line not in self._overrides:
            (self._overrides[line],) = parsed([line])
        return self._overrides[line]


def _is_open(value: Any) -> bool:
    """Returns whether a value is or contains an interpolation or a missing value (`???`)."""
    if isinstance(value, dict | list):
        return any(map(_is_open, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and ("${" in value or value == "???")


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    *groups, last = key.split(".")
    node: Any = config
    for name in groups:
        node = _in(node, name, key)[name]
    _in(node, last, key)[last] = value


def _in(node: Any, name: str, key: str) -> dict[str, Any]:
    """Returns the node of a config, in which a part of a key must be.

    Raises:
        ConfigError: it is not there.
    """
    if isinstance(node, dict) and name in node:
        return node
    # The other groups have all keys that can be set; a callback has the parameters of its library.
    hint = f" To add a callback or a parameter of it, write +{key}=..." if key.startswith("callbacks.") else ""
    raise ConfigError(unknown(key, name, map(str, node) if isinstance(node, dict) else ()) + hint)
