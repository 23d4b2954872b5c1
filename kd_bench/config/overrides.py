"""Reads a command line as Hydra reads it: its flags, then `key=value` overrides. Explains errors."""

import math
import re
from argparse import Namespace
from collections.abc import Collection, Iterable, Sequence

from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, OverrideType, RangeSweep
from hydra.errors import HydraException

from kd_bench.errors import ConfigError

SEARCH_PATH = "hydra.searchpath"
DRY_RUN = "--dry-run"
"""The one flag that Hydra does not have: lists the runs instead of doing them."""

_SHOWING = ("cfg", "info", "shell_completion")
"""Hydra's flags that only show something."""

_SEVERAL_CHOICES = ("experiment", "callbacks")
"""The groups of which several choices can be combined, e.g. experiment=[cifar100,quick]."""


_PLAIN = re.compile(r"^([\w~+@./]+=)([^'\"\[\](){}$]*)$")
"""An override of which the value has no quotes, brackets or interpolation: its key with the equals sign, its value."""
_EQUALS = re.compile(r"(?<!\\)=")


def read_options(arguments: Sequence[str]) -> Namespace:
    """Returns Hydra's flags, such as --multirun, and `DRY_RUN`. All other arguments are in `overrides`.

    Raises:
        ConfigError: two flags exclude each other, a flag is not supported, or --hydra-help has overrides.
    """
    # The only internal function of Hydra that is used here: no public function parses the flags.
    parser = get_args_parser()
    parser.add_argument(DRY_RUN, action="store_true")
    options = parser.parse_intermixed_args(arguments)
    for commands in (("run", "multirun", *_SHOWING), ("dry_run", *_SHOWING)):
        asked_for = [f"--{command.replace('_', '-')}" for command in commands if getattr(options, command)]
        if len(asked_for) > 1:
            raise ConfigError(f"{' '.join(asked_for)}: only one of them can be given.")
    if options.hydra_help and options.overrides:
        given = " ".join(options.overrides)
        raise ConfigError(f"--hydra-help {given}: give it alone; --help shows what can be chosen.")
    if options.experimental_rerun:
        raise ConfigError("--experimental-rerun: is not supported. Start the same command again to continue.")
    return options


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments with flags before overrides, because Hydra does not accept a flag between two overrides."""
    overrides = read_options(arguments).overrides
    flags = list(arguments)
    for override in overrides:
        flags.remove(override)
    return [*flags, *overrides]


def escaped(arguments: Iterable[str]) -> list[str]:
    """Returns the arguments with a backslash before each `=` in a plain value, because Hydra requires it.

    The folders of runs have such names: `teacher.path=outputs/digits/tiny/at/fraction=1/seed=0-0a1b2c3d`.
    """
    return [_PLAIN.sub(lambda found: found[1] + _EQUALS.sub(r"\\=", found[2]), argument) for argument in arguments]


def parsed(lines: Sequence[str]) -> list[Override]:
    """Returns the parsed overrides. The parser gets the config loader, so that `glob(*)` can list its choices.

    Raises:
        ConfigError: a line cannot be read.
    """
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    overrides = []
    for line in lines:
        try:
            (override,) = parser.parse_overrides([line])
        except HydraException as problem:
            raise ConfigError(
                f"{line}: cannot be read. Write key=value, e.g. epochs=40, a list as [1,2], a sweep as 1,2. Put "
                "a value with signs such as ~ or [ in extra quotes, e.g. \"dataset.train_split='train[:90%]'\"."
            ) from problem
        if not override.key_or_group:
            raise ConfigError(f"{line}: the key is missing. Write key=value.")
        overrides.append(override)
    return overrides


def refuse_wrong_choices(overrides: Sequence[Override], groups: Collection[str]) -> None:
    """Raises ConfigError if an override of a group is wrong. Hydra accepts some of them, or explains them badly.

    Raises:
        ConfigError: an override is wrong; the message names it and says what to write instead.
    """
    for override in overrides:
        line, group = override.input_line, override.key_or_group
        if group not in groups or override.package is not None or override.is_sweep_override():
            continue
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
