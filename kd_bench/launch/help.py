"""What `python run.py --help` prints: every group's choices and the keys that take a value."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from kd_bench.config.compose import composing
from kd_bench.config.library import Library

_USAGE = """\
usage: python run.py [-m] [group=choice ...] [key=value ...]
       -m runs every combination of values with commas: -m method=at,fsp fraction=1.0,0.1 seed=0,1,2
       hydra/launcher=joblib hydra.launcher.n_jobs=4 runs four of them at a time; --hydra-help: Hydra's own flags"""


def help_text(arguments: Sequence[str]) -> str:
    """Returns every group's choices, each with the first comment of its file, and the keys that take a value.

    Args:
        arguments: of the command: --config-dir and hydra.searchpath add choices.

    Raises:
        ConfigError: the primary config cannot be composed.
    """
    with composing(arguments) as (by, _):
        library = by.library
        keys = sorted(str(key) for key, value in library.compose(()).items() if not isinstance(value, DictConfig))
        return "\n".join(
            [
                _USAGE,
                *itertools.chain.from_iterable(_group_help(library, group) for group in library.groups),
                "",
                f"keys: {', '.join(keys)}",
                "and those inside a group, such as method.temperature=4; --cfg job shows them all with their values.",
                "Parts of a group are chosen by @, as in optimizer@teacher.optimizer=adam, network@model.student=vgg.",
            ]
        )


def _group_help(library: Library, group: str) -> list[str]:
    files = [
        next(file for folder in library.folders() if (file := folder / group / f"{choice}.yaml").is_file())
        for choice in library.choices(group)
    ]
    return ["", f"{group}:", *(f"  {file.stem:<23} {_first_comment(file)}" for file in files)]


def _first_comment(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("# ") for line in lines if line.startswith("# ") and "@package" not in line]
    return next(iter(comments), "")
