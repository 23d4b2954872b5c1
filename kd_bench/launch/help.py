"""What `python run.py --help` prints: every group's choices and the keys that take a value."""

import itertools
from pathlib import Path

from omegaconf import DictConfig

from kd_bench.config.compose import CONF, _compose

_GROUPS = ("method", "model", "dataset", "dataset_fraction", "optimizer", "hardware", "experiment")


def help_text() -> str:
    """Returns every group's choices, each with the first comment of its file, and the keys that take a value."""
    values = sorted(str(key) for key, value in _compose(()).items() if not isinstance(value, DictConfig))
    return "\n".join(
        [
            "usage: python run.py [-m] [group=choice ...] [key=value ...]",
            "       -m runs every combination of values with commas: -m method=at,fsp fraction=1.0,0.1 seed=0,1,2",
            *itertools.chain.from_iterable(map(_group_help, _GROUPS)),
            "",
            f"keys: {', '.join(values)}",
            "and those inside a group, such as method.temperature=4; --cfg job shows them all with their values.",
        ]
    )


def _group_help(group: str) -> list[str]:
    files = sorted((CONF / group).glob("*.yaml"))
    return ["", f"{group}:", *(f"  {file.stem:<23} {_first_comment(file)}" for file in files)]


def _first_comment(file: Path) -> str:
    lines = file.read_text().splitlines()
    comments = [line.removeprefix("# ") for line in lines if line.startswith("# ") and "@package" not in line]
    return next(iter(comments), "")
