"""The text of `run --help`: the choices of every group, and the keys that take a value."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from omegaconf import DictConfig

from kd_bench.config.composer import NO_CHOICES, composer
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


def help_template(*, _root_: DictConfig) -> str:
    """Returns Hydra's template of the help: the choices of every group, with the first comment of each file; the keys.

    Args:
        _root_: what Hydra composed for the command, whose --config-dir and hydra.searchpath add choices.
    """
    folders = [_folder(source) for source in _root_.hydra.runtime.config_sources if source.schema != "structured"]
    groups = sorted({path.name for folder in folders for path in folder.iterdir() if path.is_dir()} - {*NO_CHOICES})
    choices = [line for group in groups for line in _group_help(group, folders)]
    launchers = ", ".join(composer(_root_.hydra).choices("hydra/launcher"))
    keys = sorted(str(key) for key, value in _root_.items_ex(resolve=False) if not isinstance(value, DictConfig))
    texts = [_USAGE, *choices, "", f"hydra/launcher: {launchers}", f"keys: {', '.join(map(_key_help, keys))}", _PARTS]
    return "\n".join(texts).replace("$", "$$")


def _folder(source: DictConfig) -> Path:
    package = source.path.replace("/", ".")
    return Path(str(resources.files(package))) if source.schema == "pkg" else Path(source.path)


def _group_help(group: str, folders: Sequence[Path]) -> list[str]:
    names = sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})
    comments = [_first_comment(folders, f"{group}/{name}.yaml") for name in names]
    lines = [f"  {name:<23} {comment}" for name, comment in zip(names, comments, strict=True)]
    return ["", f"{group}:", *lines] if names else []


def _first_comment(folders: Sequence[Path], name: str) -> str:
    file = next((folder / name for folder in folders if (folder / name).is_file()), None)
    lines = file.read_text(encoding="utf-8").splitlines() if file else []
    comments = [line.removeprefix("# ") for line in lines if line.startswith("# ") and "@package" not in line]
    return next(iter(comments), "")


def _key_help(key: str) -> str:
    annotation = get_type_hints(RunConfig).get(key)
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return f"{key}={'|'.join(str(choice).lower() for choice in choices)}" if choices else key
