"""Composes what the command line asks for and refuses what is wrong with it, before TensorFlow is imported.

Hydra composes a sweep's jobs one by one as it comes to them; here all of them are checked before the first one starts.
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from kd_bench.checks import unknown
from kd_bench.config.schema import WITHOUT_EFFECT, RunConfig
from kd_bench.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"

_SEARCH_PATH = "hydra.searchpath"
"""The one of Hydra's own keys that changes what is composed: where a user's own methods are."""

_PRESET_GROUPS = ("experiment", "dataset", "model", "method")
"""The groups whose choice makes a run a row of another table or another row, not a variant of the same one."""

_GROUPS = ("method", "model", "dataset", "dataset_fraction", "optimizer", "hardware", "experiment")

_NOT_VARIANTS = ("seed", "fraction", *WITHOUT_EFFECT)


def overrides_of(hydra: Mapping[str, Any]) -> list[str]:
    """Returns the overrides that made a composed config, from the node `hydra` that goes with it."""
    own = [line for line in hydra["overrides"]["hydra"] if line.startswith(_SEARCH_PATH)]
    return [*own, *hydra["overrides"]["task"]]


def jobs(arguments: Sequence[str]) -> list[RunConfig]:
    """Returns the checked configs of all runs that the command line asks for: one, or a sweep's.

    Raises:
        ConfigError: at the first value that is wrong, in any of the runs.
    """
    options = get_args_parser().parse_args(arguments)
    overrides = [override for override in _parsed(options.overrides) if not _of_hydra(override)]
    if not options.multirun:
        for override in overrides:
            if override.is_sweep_override():
                raise ConfigError(f"{override.input_line}: several values make a sweep; add -m before them.")
        return [run_config([str(override.input_line) for override in overrides])]
    choices = {override.get_key_element(): _values(override) for override in overrides}
    return [run_config(job) for job in itertools.product(*choices.values())]


def run_config(overrides: Sequence[str]) -> RunConfig:
    """Returns the checked config of the one run that these overrides describe.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    return checked(_composed(overrides), overrides)


def checked(composed: DictConfig, overrides: Sequence[str]) -> RunConfig:
    """Returns the typed config of a composed one, told by its overrides what is a preset and what a variant of it.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    presets = [line for line in overrides if line.partition("=")[0] in (*_PRESET_GROUPS, _SEARCH_PATH)]
    config = _container(composed)
    preset = OmegaConf.to_container(_composed(presets), resolve=True)
    return RunConfig.parse(config, _differences(config, preset))  # type: ignore[arg-type]


def _composed(overrides: Sequence[str]) -> DictConfig:
    """Composes the groups once, and sets each plain `key=value` on a copy: Hydra needs 50 ms for each composition."""
    groups = tuple(line for line in overrides if not _is_plain(line.partition("=")[0]))
    config = _compose(groups).copy()
    for line in overrides:
        if line not in groups:
            _set(config, line.partition("=")[0], _parsed([line])[0].value())
    return config


def _is_plain(key: str) -> bool:
    return key.replace(".", "").isidentifier() and key != _SEARCH_PATH and not (CONF / key).is_dir()


def _container(config: DictConfig) -> dict[str, Any]:
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except OmegaConfBaseException as problem:
        raise ConfigError(f"{problem.full_key}: {str(problem.msg).splitlines()[0]}.") from problem


def _set(config: DictConfig, key: str, value: Any) -> None:
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if not isinstance(node, DictConfig) or name not in list(node):
        raise ConfigError(unknown(key, name, map(str, node) if isinstance(node, DictConfig) else ()))
    node[name] = value


@cache
def _compose(overrides: tuple[str, ...]) -> DictConfig:
    loader = ConfigLoaderImpl(create_config_search_path(str(CONF)))
    try:
        config = loader.load_configuration("config", list(overrides), run_mode=RunMode.RUN, from_shell=False)
    except MissingConfigException as problem:
        raise ConfigError(_unknown_choice(overrides, problem)) from problem
    except (ConfigCompositionException, OmegaConfBaseException) as problem:
        raise ConfigError(f"{' '.join(overrides)}: {str(problem).splitlines()[0]}") from problem
    with open_dict(config):
        del config["hydra"]
    return config


def _unknown_choice(overrides: Sequence[str], problem: MissingConfigException) -> str:
    group, _, choice = str(problem.missing_cfg_file).rpartition("/")
    line = next((line for line in overrides if line.endswith(f"={choice}")), f"{group}={choice}")
    if not (CONF / group).is_dir():
        return f"{line}: there is no config group {group!r}."
    choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return f"{line}: there is no such {group}. Choose one of: {', '.join(choices)}."


def _parsed(lines: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(lines))
    except (OverrideParseException, HydraException) as problem:
        raise ConfigError(
            f"{str(problem).splitlines()[0]}. Write key=value, as in epochs=40; a value with brackets in quotes of its "
            "own, as in \"dataset.train_split='train[:90%]'\"."
        ) from problem


def _of_hydra(override: Override) -> bool:
    return override.key_or_group != _SEARCH_PATH and override.key_or_group.split("/")[0].split(".")[0] == "hydra"


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def _differences(config: Mapping[str, Any], preset: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns dotted key -> value of what differs from the preset; another component of a group goes by its name."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        key, default = f"{prefix}{name}", preset.get(name)
        if value == default or key in _NOT_VARIANTS:
            continue
        if isinstance(value, Mapping) and isinstance(default, Mapping) and value.get("name") == default.get("name"):
            found |= _differences(value, default, f"{key}.")
        else:
            found[key] = value["name"] if isinstance(value, Mapping) and "name" in value else value
    return found
