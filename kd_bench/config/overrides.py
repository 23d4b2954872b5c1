"""Hydra's overrides, `key=value`: what they choose, which values a sweep has, and which of them make no sense."""

import math
from collections.abc import Collection, Sequence

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, OverrideType, RangeSweep

from kd_bench.errors import ConfigError

_SEVERAL_CHOICES = ("experiment", "callbacks")
"""The groups of which several choices can be combined, e.g. experiment=[cifar100,quick]."""


def parsed(lines: Sequence[str]) -> list[Override]:
    """Returns the parsed overrides. The parser gets the config loader, so that `glob(*)` can list its choices."""
    hydra = GlobalHydra.instance().hydra
    return OverridesParser.create(hydra and hydra.config_loader).parse_overrides(list(lines))


def refuse_wrong_choice(override: Override, groups: Collection[str]) -> None:
    """Checks the override of a group. Hydra accepts some wrong ones, or explains them badly.

    Raises:
        ConfigError: it is wrong; the message names it and says what to write instead.
    """
    line, group = override.input_line, override.key_or_group
    if not group:
        raise ConfigError(f"{line}: the key is missing. Write key=value.")
    if group not in groups or override.package is not None or override.is_sweep_override():
        return
    choice = override.value()
    if override.type is OverrideType.DEL:
        raise ConfigError(f"{line}: a run needs a choice of {group}; choose another one with {group}=...")
    if override.type is OverrideType.ADD:
        raise ConfigError(f"{line}: {group} already has a choice. Write {group}={choice}.")
    if isinstance(choice, list) and group not in _SEVERAL_CHOICES:
        several = ",".join(map(str, choice))
        raise ConfigError(f"{line}: a run has one {group}. For one run per choice, write -m {group}={several}.")
    names = choice if isinstance(choice, list) else [choice]
    if any(not isinstance(name, str) or ".." in name for name in names):
        raise ConfigError(f"{line}: must be the name of a {group}.")


def values(override: Override) -> list[str]:
    """Returns an override as one line; a sweep as one line per value.

    Raises:
        ConfigError: the sweep's values cannot be listed.
    """
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: an interval has no list of values. Write the values with commas, or choose a "
            "sweeper that can search, with hydra/sweeper=..."
        )
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def ends(override: Override) -> list[str]:
    """Returns the lines with which a search override is checked: both ends of a range, or all choices.

    Raises:
        ConfigError: the range is empty.
    """
    sweep = override.value()
    if not isinstance(sweep, IntervalSweep | RangeSweep):
        return values(override)
    low, high = sweep.start, sweep.end if isinstance(sweep, IntervalSweep) else sweep.stop
    assert low is not None and high is not None, "the grammar requires both"
    least = 0 if "log" in sweep.tags else -math.inf
    if not least < low < high:
        wanted = "the first end must be below the second" + (", and above 0 for a log scale" if least == 0 else "")
        raise ConfigError(f"{override.input_line}: {wanted}.")
    return [f"{override.get_key_element()}={end}" for end in (low, high)]
