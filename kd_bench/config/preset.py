"""The preset of a command that chooses its data and no experiment."""

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException

from kd_bench.config.overrides import read_options, values
from kd_bench.errors import ConfigError

_DIGITS = "digits"
"""The data set of the default preset, whose networks and lengths are made for it and suit no other."""
_OWN = "experiment=own"
_EXPERIMENT = re.compile(r"[+~]*(hydra\.sweeper\.params\.)?experiment([=@]|$)")
_DATASET = re.compile(r"\+*dataset=")


def with_preset(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments of a command, with `experiment=own` if they choose data other than digits, but no preset.

    Nothing is added if a primary config of the user's (--config-name, --config-path) chooses the experiment.

    Args:
        arguments: flags and overrides, as on the command line.

    Raises:
        ConfigError: the data can be digits and others, as in a sweep, and no experiment is named; or flags contradict
            each other.
    """
    options = read_options(arguments)
    chosen = [line for line in options.overrides if _DATASET.match(line)]
    named = options.config_name or options.config_path or any(map(_EXPERIMENT.match, options.overrides))
    if named or not chosen:
        return list(arguments)
    are_digits = {name == _DIGITS for name in _names(chosen[-1])}
    if len(are_digits) > 1:
        raise ConfigError(f"{chosen[-1]}: digits and other data sets have different presets; name one, such as {_OWN}.")
    return [*arguments, *([_OWN] if are_digits == {False} else [])]


def _names(line: str) -> list[Any]:
    """Returns what an override chooses: one value, or those of a sweep; nothing if it cannot be read.

    What can stand for sets that are not known here, a pattern or an interpolation, is itself one of the names.
    """
    parser = OverridesParser.create()
    try:
        override = parser.parse_override(line)
        pattern = override.value()
        if isinstance(pattern, Glob):
            return [*pattern.filter([_DIGITS]), line]
        if "${" in line:
            return [_DIGITS, line]
        return [parser.parse_override(one).value() for one in values(override)]
    except HydraException:  # explained where all overrides are read
        return []
