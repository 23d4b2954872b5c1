"""Composes one run by Hydra's public interface: its groups, its values, what makes it a variant of its preset."""

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kd_bench.checks import unknown
from kd_bench.config.overrides import parsed
from kd_bench.config.schema import RunConfig
from kd_bench.errors import ConfigError

_PRESET_GROUPS = ("experiment", "dataset", "model", "method")
"""The groups whose choice makes a run a row of another table or another row, not a variant of the same one."""


class Composer:
    """Composes runs from one primary config, with the Hydra that is initialised; remembers what it composed.

    Attributes:
        groups: the config groups, those on the search path included.
    """

    def __init__(self, loader: ConfigLoader, name: str, search: Sequence[str]) -> None:
        self._loader = loader
        self._name = name
        self._search = list(search)
        self.groups = self._options("", ObjectType.GROUP)
        self._overrides: dict[str, Override] = {}
        self._composed: dict[tuple[str, ...], dict[str, Any]] = {}
        self._presets: dict[tuple[str, ...], dict[str, Any]] = {}

    def run(self, lines: Sequence[str]) -> RunConfig:
        """Returns the checked config of the one run that these overrides describe.

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        return self.checked(self._resolved(lines), lines)

    def checked(self, config: Mapping[str, Any], lines: Sequence[str]) -> RunConfig:
        """Checks a composed config. The overrides say which choices form its preset; the rest makes it a variant.

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        chosen = tuple(line for line in lines if line.partition("=")[0] in _PRESET_GROUPS)
        if chosen not in self._presets:
            self._presets[chosen] = OmegaConf.to_container(self._compose(chosen), resolve=True)  # type: ignore[assignment]
        return RunConfig.parse(config, _differences(config, self._presets[chosen]))

    def hydra(self, lines: Sequence[str]) -> DictConfig:
        """Returns Hydra's own config: mode, sweeper, launcher."""
        return self._compose(lines, with_hydra=True).hydra

    def choices(self, overrides: Sequence[Override]) -> list[str]:
        """Returns those of the overrides that are no plain values and that all runs share."""
        return [str(one.input_line) for one in overrides if not one.is_sweep_override() and not self._is_plain(one)]

    def keys(self) -> list[str]:
        """Returns the keys that take a value and are in no group."""
        config = OmegaConf.to_container(self._compose(()))
        return sorted(str(key) for key, value in config.items() if not isinstance(value, dict))  # type: ignore[union-attr]

    def require_keys(self, overrides: Sequence[Override]) -> None:
        """Refuses a value for a key that only choices of a sweep have: Hydra first composes without these choices.

        Raises:
            ConfigError: naming the key and what to write.
        """
        swept = {override.key_or_group for override in overrides if override.is_sweep_override()}
        fixed = [override for override in overrides if not override.is_sweep_override()]
        for override in fixed:
            if override.key_or_group.split(".")[0] in swept and self._is_plain(override):
                try:
                    self._with_values([*self.choices(overrides), str(override.input_line)])
                except ConfigError as problem:
                    line = f"{override.key_or_group}=choice({override.get_value_element_as_str()})"
                    raise ConfigError(f"{problem} If the choices of the sweep have the key, write {line}.") from problem

    def options(self, group: str) -> list[str]:
        """Returns the choices of a group, those on the search path included."""
        return self._options(group, ObjectType.CONFIG)

    def _options(self, group: str, kind: ObjectType) -> list[str]:
        found = self._loader.get_group_options(group, kind, self._name, self._search)
        return sorted(name for name in found if name != "hydra")

    def _resolved(self, lines: Sequence[str]) -> dict[str, Any]:
        config = self._with_values(lines)
        return container(OmegaConf.create(config)) if _is_open(config) else config

    def _with_values(self, lines: Sequence[str]) -> dict[str, Any]:
        """Composes the groups once, and sets each plain value on a copy: Hydra needs 50 ms for each composition."""
        overrides = [self._parsed(line) for line in lines]
        groups = tuple(line for line, override in zip(lines, overrides, strict=True) if not self._is_plain(override))
        if groups not in self._composed:
            self._composed[groups] = OmegaConf.to_container(self._compose(groups))  # type: ignore[assignment]
        config = copy.deepcopy(self._composed[groups])
        for override in filter(self._is_plain, overrides):
            _set(config, override.key_or_group, override.value())
        return config

    def _is_plain(self, override: Override) -> bool:
        """Whether an override sets a value that Hydra would set last, without merging it."""
        key = override.key_or_group
        return (
            override.type is OverrideType.CHANGE
            and override.package is None
            and "/" not in key
            and key not in self.groups
            and not (not override.is_sweep_override() and isinstance(override.value(), dict))
        )

    def _parsed(self, line: str) -> Override:
        if line not in self._overrides:
            (self._overrides[line],) = parsed([line])
        return self._overrides[line]

    def _compose(self, lines: Sequence[str], *, with_hydra: bool = False) -> DictConfig:
        try:
            return compose(self._name, [*self._search, *lines], return_hydra_config=with_hydra)
        except MissingConfigException as problem:
            raise ConfigError(self._unknown_choice(lines, problem)) from problem
        except yaml.MarkedYAMLError as problem:
            mark = problem.problem_mark
            place = f"{mark.name}, line {mark.line + 1}" if mark else " ".join(lines)
            raise ConfigError(f"{place}: is not valid YAML: {problem.problem}.") from problem
        except UnicodeDecodeError as problem:
            raise ConfigError(f"{self._not_text()}: is not UTF-8 text.") from problem
        except (HydraException, OmegaConfBaseException, ValueError) as problem:
            reason = str(problem.__cause__ or problem).splitlines()[0].rstrip(".")
            raise ConfigError(f"{' '.join(lines) or self._name}: {reason}.") from problem

    def _unknown_choice(self, lines: Sequence[str], problem: MissingConfigException) -> str:
        group, _, choice = str(problem.missing_cfg_file or "").rpartition("/")
        if not group:
            return f"{choice or self._name}: {str(problem).splitlines()[0]}"
        line = next((line for line in lines if line.endswith(f"={choice}")), f"{group}={choice}")
        choices = self.options(group)
        if not choices:
            return f"{line}: there is no config group {group!r}."
        return f"{line}: there is no such {group}. Choose one of: {', '.join(choices)}."

    def _not_text(self) -> str:
        """Returns the first config file that is not UTF-8: the error does not name it."""
        for folder in self.folders():
            for file in sorted(folder.rglob("*.yaml")):
                try:
                    file.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    return str(file)
        return "a config file"

    def folders(self) -> list[Path]:
        """Returns the folders with config files, those on the search path included."""
        sources = compose(overrides=self._search, return_hydra_config=True).hydra.runtime.config_sources
        return [Path(source.path) for source in sources if source.schema == "file"]


def composer(name: str, search: Sequence[str]) -> Composer:
    """Returns the composer of a primary config: one per initialised Hydra, so that each preset is composed once.

    Args:
        name: of the primary config.
        search: the override of `hydra.searchpath`, if there is one.
    """
    return _composer(GlobalHydra.instance().config_loader(), name, tuple(search))


@cache
def _composer(loader: ConfigLoader, name: str, search: tuple[str, ...]) -> Composer:
    return Composer(loader, name, search)


def container(config: DictConfig) -> dict[str, Any]:
    """Returns a composed config as plain containers, with its interpolations resolved.

    Raises:
        ConfigError: a value is missing, or an interpolation cannot be resolved.
    """
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except OmegaConfBaseException as problem:
        raise ConfigError(f"{problem.full_key}: {str(problem.msg).splitlines()[0]}.") from problem


def _is_open(value: Any) -> bool:
    """Whether a value is, or holds, an interpolation or a `???` that has to be filled in."""
    if isinstance(value, dict | list):
        return any(map(_is_open, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and ("${" in value or value == "???")


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    *groups, name = key.split(".")
    node: Any = config
    for group in groups:
        node = node.get(group) if isinstance(node, dict) else None
    if not isinstance(node, dict) or name not in node:
        raise ConfigError(unknown(key, name, map(str, node) if isinstance(node, dict) else ()))
    node[name] = value


def _differences(config: Mapping[str, Any], preset: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns dotted key -> value of what differs from the preset; another component of a group goes by its name."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        default = preset.get(name)
        if value == default:
            continue
        if isinstance(value, Mapping) and isinstance(default, Mapping) and value.get("name") == default.get("name"):
            found |= _differences(value, default, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value["name"] if isinstance(value, Mapping) and "name" in value else value
    return found
