"""The text of `run --help`: the choices of every group, and the keys that take a value."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from omegaconf import DictConfig

from kd_bench.config.compose import composing
from kd_bench.config.library import Library
from kd_bench.config.schema import RunConfig
from kd_bench.installation import program

_USAGE = f"""\
usage: {program("run")} [-m] [group=choice ...] [key=value ...]
       -m runs every combination of values with commas: -m method=at,fsp fraction=1.0,0.1 seed=0,1,2
       -m hydra/sweeper=search validation=0.1 method=at searches for the method's best values: docs/search.md
       hydra/launcher=joblib hydra.launcher.n_jobs=4 does four runs at a time
       --dry-run lists the runs and how long they will take; --hydra-help lists Hydra's flags"""

_PARTS = """\
and the keys inside a group, e.g. method.temperature=4; --cfg job shows all keys with their values.
Parts of a group are chosen with @, e.g. optimizer@teacher.optimizer=adam."""


def help_text(arguments: Sequence[str]) -> str:
    """Returns the choices of every group, with the first comment of each file, and the keys that take a value.

    Args:
        arguments: the command's arguments; --config-dir and hydra.searchpath add choices.

    Raises:
        ConfigError: the primary config cannot be composed.
    """
    with composing(arguments) as (by, _):
        groups = [line for group in by.library.groups for line in _group_help(by.library, group)]
        launchers = ", ".join(by.library.choices("hydra/launcher"))
        keys = ", ".join(map(_key_help, _keys(by.library)))
    return "\n".join([_USAGE, *groups, "", f"hydra/launcher: {launchers}", f"keys: {keys}", _PARTS])


def _group_help(library: Library, group: str) -> list[str]:
    folders = library.folders()
    lines = [f"  {choice:<23} {_first_comment(folders, f'{group}/{choice}.yaml')}" for choice in library.choices(group)]
    return ["", f"{group}:", *lines]


def _first_comment(folders: Sequence[Path], name: str) -> str:
    file = next((folder / name for folder in folders if (folder / name).is_file()), None)
    lines = file.read_text(encoding="utf-8").splitlines() if file else []
    comments = [line.removeprefix("# ") for line in lines if line.startswith("# ") and "@package" not in line]
    return next(iter(comments), "")


def _keys(library: Library) -> Iterator[str]:
    """Yields the keys outside groups that take a value."""
    for key, value in sorted(library.compose(()).items()):
        if not isinstance(value, DictConfig):
            yield str(key)


def _key_help(key: str) -> str:
    annotation = get_type_hints(RunConfig).get(key)
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return f"{key}={'|'.join(str(choice).lower() for choice in choices)}" if choices else key
