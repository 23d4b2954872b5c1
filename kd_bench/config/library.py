"""The config files that Hydra finds: lists groups and choices, composes configs, explains errors."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kd_bench.checks import listed
from kd_bench.errors import ConfigError, DataError

_IMPOSSIBLE = {
    "hardware=multi_worker": "a run uses one host, because Keras 3 cannot train across hosts (keras issue 20585); "
    "start several runs at once instead: docs/cluster.md."
}
"""Choices that users may expect but that do not exist -> the reason, and what to do instead."""

_ELSEWHERE = {
    "method": {
        **{"kd": "soft_logits", "hint": "fitnet", "attention": "at", "similarity": "sp", "correlation": "cc"},
        **{"kdsvd": "kd_svd", "abound": "ab", "factor": "ft", "ofd": "co", "vanilla": "student", "none": "student"},
    },
    "model": {
        name: f"{pair}, a pair; model.teacher=... and model.student=... take one network by its name"
        for name, pair in {
            **{"resnet56": "resnet56_resnet20", "resnet110": "resnet110_resnet32", "resnet20": "resnet56_resnet20"},
            **{"resnet32": "resnet110_resnet32", "resnet32x4": "resnet32x4_resnet8x4"},
            **{"resnet8x4": "resnet32x4_resnet8x4", "wrn_40_2": "wrn_40_2_wrn_16_2", "wrn_40_1": "wrn_40_2_wrn_40_1"},
            **{"wrn_16_2": "wrn_40_2_wrn_16_2", "vgg13": "vgg13_vgg8", "vgg8": "vgg13_vgg8"},
            **{"resnet50": "resnet50_mobilenet_v2", "mobilenetv2": "resnet50_mobilenet_v2"},
            **{"mobile_half": "resnet50_mobilenet_v2", "shufflev1": "resnet32x4_shufflenet_v1"},
            **{"shufflev2": "resnet32x4_shufflenet_v2"},
        }.items()
    },
}
"""Names of RepDistiller and mdistiller, by group -> ours."""

_SEARCH = "search"
"""The group of the sweeper `search`. The method determines the choice, not the user."""


class Library:
    """The config files that the initialised Hydra finds for a primary config.

    Attributes:
        groups: the config groups, including those on the search path.
    """

    def __init__(self, loader: ConfigLoader, name: str, search: Sequence[str]) -> None:
        self._loader = loader
        self._name = name
        self._search = list(search)
        self.groups = [group for group in self._found("", ObjectType.GROUP) if group not in ("hydra", _SEARCH)]

    def compose(self, lines: Sequence[str], *, with_hydra: bool = False) -> DictConfig:
        """Composes a config from the overrides, as Hydra does.

        Raises:
            ConfigError: a choice does not exist, or a file or an override cannot be used.
        """
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

    def choices(self, group: str) -> list[str]:
        """Returns the choices of a group, including those on the search path."""
        return self._found(group, ObjectType.CONFIG)

    def folders(self) -> list[Path]:
        """Returns the folders with config files, including those on the search path."""
        sources = compose(overrides=self._search, return_hydra_config=True).hydra.runtime.config_sources
        return [Path(source.path) for source in sources if source.schema == "file"]

    def _found(self, group: str, kind: ObjectType) -> list[str]:
        return sorted(self._loader.get_group_options(group, kind, self._name, self._search))

    def _unknown_choice(self, lines: Sequence[str], problem: MissingConfigException) -> str:
        group, _, choice = str(problem.missing_cfg_file or "").rpartition("/")
        if not group:
            return f"{choice or self._name}: {str(problem).splitlines()[0]}"
        if reason := _IMPOSSIBLE.get(f"{group}={choice}"):
            return f"{group}={choice}: {reason}"
        line = next((line for line in lines if line.endswith(f"={choice}")), f"{group}={choice}")
        choices = self.choices(group)
        if not choices:
            return f"{line}: there is no config group {group!r}."
        ours = _ELSEWHERE.get(group, {}).get(choice.lower())
        near = [ours] if ours else difflib.get_close_matches(choice, choices, n=1)
        hint = (f" Here it is {ours}." if ours else f" Did you mean {near[0]}?") if near else ""
        return f"{line}: there is no such {group}.{hint} Choose one of: {listed(choices)}."

    def _not_text(self) -> str:
        """Returns the first config file that is not UTF-8, because Hydra's error does not name it."""
        for folder in self.folders():
            for file in sorted(folder.rglob("*.yaml")):
                try:
                    file.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    return str(file)
        return "a config file"


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
        raise ConfigError(f"{problem.full_key}: {(of_resolver or reason).rstrip('.')}.") from problem
