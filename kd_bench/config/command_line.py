"""The arguments of the command `run`, as people type them and as Hydra takes them."""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from kd_bench.config.preset import with_preset
from kd_bench.errors import ConfigError

DRY_RUN = "--dry-run"
"""The one flag that Hydra does not have: lists the runs instead of doing them."""
_VALUES = ("--config-path -cp", "--config-name -cn", "--config-dir -cd", "--package -p")
_SWITCHES = ("--help -h", "--hydra-help", "--version", "--resolve")

_PLAIN = re.compile(r"^([\w~+@./]+=)([^'\"\[\](){}$]*)$")
"""An override of which the value has no quotes, brackets or interpolation: its key with the equals sign, its value."""
_EQUALS = re.compile(r"(?<!\\)=")


class _Parser(ArgumentParser):
    """Raises its errors, for one line of our own."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; --hydra-help lists the flags.")


def read(arguments: Sequence[str]) -> Namespace:
    """Returns what a command line asks for.

    Args:
        arguments: flags and overrides in any order: Hydra takes no flag between two overrides.

    Returns:
        Hydra's flags by their names, such as `multirun`; `dry_run`; `shows`, whether Hydra only shows something;
        `overrides`, with the preset; and `flags`, all other arguments as Hydra takes them.

    Raises:
        ConfigError: a flag is unknown, two flags exclude each other, a folder does not exist, --hydra-help has
            overrides, or no preset suits all data sets of a sweep.
    """
    without_dry_run = [argument for argument in arguments if argument != DRY_RUN]
    options = _parser().parse_intermixed_args(without_dry_run)
    if options.hydra_help and options.overrides:
        given = " ".join(options.overrides)
        raise ConfigError(f"--hydra-help {given}: give it alone; --help shows what can be chosen.")
    options.dry_run = len(without_dry_run) < len(arguments)
    options.shows = any((options.help, options.hydra_help, options.cfg, options.info, options.shell_completion))
    for key in ("config_path", "config_dir"):
        if (folder := getattr(options, key)) and not Path(folder).is_dir():
            raise ConfigError(f"--{key.replace('_', '-')}={folder}: there is no such folder.")
    options.flags = [argument for argument in without_dry_run if argument not in options.overrides]
    if options.config_path:  # Hydra would look for it beside the file of its main function
        options.flags += ["--config-path", str(Path(options.config_path).resolve())]  # of two, the last counts
    if options.help:  # it lists choices, to which only this key adds some
        options.overrides = [line for line in options.overrides if line.startswith("hydra.searchpath=")]
    has_own_config = bool(options.config_name or options.config_path)
    options.overrides = with_preset(escaped(options.overrides), has_own_config)
    return options


def escaped(overrides: Iterable[str]) -> list[str]:
    """Returns the overrides with a backslash before each `=` in a plain value, because Hydra requires it.

    The folders of runs have such names: `teacher.path=outputs/digits/tiny/at/fraction=1/seed=0-0a1b2c3d`.
    """
    return [_PLAIN.sub(lambda found: found[1] + _EQUALS.sub(r"\\=", found[2]), override) for override in overrides]


def _parser() -> ArgumentParser:
    parser = _Parser(add_help=False)
    parser.add_argument("overrides", nargs="*")
    for names in _VALUES:
        parser.add_argument(*names.split())
    for names in _SWITCHES:
        parser.add_argument(*names.split(), action="store_true")
    asked_for = parser.add_mutually_exclusive_group()
    asked_for.add_argument("--cfg", "-c")
    asked_for.add_argument("--info", "-i", nargs="?", const="all")
    for names in ("--run -r", "--multirun -m", "--shell-completion -sc"):
        asked_for.add_argument(*names.split(), action="store_true")
    return parser
