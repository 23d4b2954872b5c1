"""Hydra's errors as one line of ours: what is wrong, with which key and value, and what to do."""

import contextlib
import traceback
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from kd_bench.checks import unknown
from kd_bench.config.choices import no_such_choice
from kd_bench.config.named_network import refuse_values_beside_names
from kd_bench.config.overrides import parsed, refuse_wrong_choice
from kd_bench.config.teacher_file import refuse_training
from kd_bench.errors import ConfigError
from kd_bench.installation import CONF

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


@contextlib.contextmanager
def explaining(options: Namespace) -> Iterator[None]:
    """Explains the errors that Hydra raises in the body.

    Args:
        options: the command line, as `read` returns it.

    Raises:
        ConfigError: Hydra cannot use the command line, or a config file.
    """
    try:
        yield
    except (HydraException, OmegaConfBaseException, yaml.MarkedYAMLError, UnicodeDecodeError) as problem:
        raise _explained(problem, options) from problem
    except ValueError as problem:  # also a BenchError
        if not _is_of_hydra(problem):
            raise
        raise _explained(problem, options) from problem


def unknown_key(key: str, name: str, node: Any) -> ConfigError:
    """Returns the error for a key of which a part is not in its node of the config."""
    # The other groups have all keys that can be set; a callback has the parameters of its library.
    hint = f" To add a callback or a parameter of it, write +{key}=..." if key.startswith("callbacks.") else ""
    return ConfigError(unknown(key, name, map(str, node) if isinstance(node, dict) else ()) + hint)


def refuse_sweeps(overrides: Iterable[Override], *, multirun: bool) -> None:
    """Raises `ConfigError` if an override has several values where Hydra takes one."""
    for override in overrides:
        if override.is_sweep_override() and override.is_hydra_override():
            raise ConfigError(f"{override.input_line}: keys of Hydra cannot be swept; give one value.")
        if override.is_sweep_override() and not multirun:
            raise ConfigError(f"{override.input_line}: several values make a sweep; add -m before them.")


def _explained(problem: Exception, options: Namespace) -> ConfigError:
    if isinstance(problem, OverrideParseException):
        return ConfigError(
            f"{problem.override}: cannot be read. Write key=value, e.g. epochs=40, a list as [1,2], a sweep as 1,2. "
            "Put a value with signs such as ~ or [ in extra quotes, e.g. \"dataset.train_split='train[:90%]'\"."
        )
    if isinstance(problem, yaml.MarkedYAMLError):
        mark = problem.problem_mark
        place = f"{mark.name}, line {mark.line + 1}" if mark else "a config file"
        return ConfigError(f"{place}: is not valid YAML: {problem.problem}.")
    if isinstance(problem, UnicodeDecodeError):
        return ConfigError(f"{_not_text(options)}: is not UTF-8 text.")
    overrides = parsed(options.overrides)
    for override in overrides:
        refuse_wrong_choice(override, [group.name for group in CONF.iterdir()])
    refuse_sweeps(overrides, multirun=options.multirun)
    refuse_values_beside_names(overrides)
    cause = problem.__cause__
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _unknown(cause, overrides)
    if isinstance(problem, MissingConfigException) and problem.options is not None:
        return _unknown_choice(problem, options.overrides)
    reason = str(cause or problem).strip().splitlines()[0].rstrip(".")
    named = [line for line in options.overrides if line in str(problem)]
    return ConfigError(": ".join([*named[:1], f"{reason}."]))


def _unknown(problem: ConfigKeyError | ConfigAttributeError, overrides: Sequence[Override]) -> ConfigError:
    if str(problem.full_key).startswith("teacher.") and "path" in (problem.parent_node or ()):
        refuse_training(str(one.input_line) for one in overrides)
    fixed = {one.key_or_group: one for one in overrides if not one.is_sweep_override()}
    key = next((key for key in fixed if f"{key}.".startswith(f"{problem.full_key}.")), str(problem.full_key))
    reason = unknown_key(key, str(problem.key), {name: None for name in problem.parent_node or () if name != "hydra"})
    swept = [override.key_or_group for override in overrides if override.is_sweep_override()]
    if key in fixed and key.split(".")[0] in swept:
        write = f"{key}=choice({fixed[key].get_value_element_as_str()})"
        return ConfigError(f"{reason} If the choices of the sweep have the key, write {write}.")
    return reason


def _unknown_choice(problem: MissingConfigException, lines: Sequence[str]) -> ConfigError:
    group, _, choice = str(problem.missing_cfg_file).rpartition("/")
    if reason := _IMPOSSIBLE.get(f"{group}={choice}"):
        return ConfigError(f"{group}={choice}: {reason}")
    line = next((line for line in lines if line.endswith(f"={choice}")), f"{group}={choice}")
    if not problem.options:
        return ConfigError(f"{line}: there is no config group {group!r}.")
    ours = _ELSEWHERE.get(group, {}).get(choice.lower())
    return ConfigError(no_such_choice(line, group, choice, problem.options, ours))


def _not_text(options: Namespace) -> str:
    """Returns the first config file of the user's that is not UTF-8, because the error does not name it."""
    search_paths = [one.value() for one in parsed(options.overrides) if one.key_or_group == "hydra.searchpath"]
    folders = [folder.removeprefix("file://") for search_path in search_paths for folder in search_path]
    for folder in filter(None, [options.config_dir, options.config_path, *folders]):
        for file in sorted(Path(folder).rglob("*.yaml")):
            try:
                file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                return str(file)
    return "a config file"


def _is_of_hydra(problem: Exception) -> bool:
    """Returns whether Hydra itself raised an error, of which it has no type of its own."""
    *_, (frame, _) = traceback.walk_tb(problem.__traceback__)
    return str(frame.f_globals["__name__"]).startswith("hydra.")
