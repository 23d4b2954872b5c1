"""The preset of a command that chooses its data and no experiment."""

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException

from kd_bench.config.overrides import values
from kd_bench.errors import ConfigError

_DIGITS = "digits"
"""The data set of the default preset, whose networks and lengths are made for it and suit no other."""
_OWN = "experiment=own"
_EXPERIMENT = re.compile(r"[+~]*(hydra\.sweeper\.params\.)?experiment([=@]|$)")
_DATASET = re.compile(r"\+*dataset=")


def with_preset(overrides: Sequence[str], has_own_config: bool) -> list[str]:
    """Returns the overrides of a command, with `experiment=own` if they choose data other than digits, but no preset.

    Args:
        overrides: of the command line.
        has_own_config: whether the primary config is the user's, which chooses the experiment.

    Raises:
        ConfigError: the data can be digits and others, as in a sweep, and no experiment is named.
    """
    chosen = [line for line in overrides if _DATASET.match(line)]
    if has_own_config or not chosen or any(map(_EXPERIMENT.match, overrides)):
        return list(overrides)
    are_digits = {name == _DIGITS for name in _names(chosen[-1])}
    if len(are_digits) > 1:
        raise ConfigError(f"{chosen[-1]}: digits and other data sets have different presets; name one, such as {_OWN}.")
    return [*overrides, *([_OWN] if are_digits == {False} else [])]


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
