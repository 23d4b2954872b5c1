"""Writes the pages of all keys of conf/, each with its default, what it must be, and what it does.

The defaults and comments are those of conf/, the allowed values those of the schema and of the signatures, in the words
of the messages that refuse other values.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

from kd_bench.checks import check
from kd_bench.config.augmentation import Augmentation
from kd_bench.config.network import LAYERS
from kd_bench.config.schema import RunConfig, TeacherFile, TeacherProtocol
from kd_bench.config.signature import keyword_only
from kd_bench.errors import ConfigError
from kd_bench.installation import CONF
from kd_bench.typed import annotations

INTRODUCTION = """\
# Config keys

Made from `conf/` and the sources by `make docs`. A command sets a key by `key=value` and chooses a file of a group by
`group=choice`; `--cfg job` shows all keys of a run with their values. A sweep (`-m`) takes several values with commas
between them. A value that is not what it must be is refused in one line before TensorFlow is imported.

Beside the keys that are listed, each choice has a `_target_`, the function or class that takes its keys, and a `name`,
which is part of the folder of a run. The keys of methods are on [a page of their own](methods/keys.md).
"""
METHODS = """\
# Keys of the methods

Made from `conf/method/` and the sources by `make docs`; all other keys: [config keys](../config_keys.md). A command
sets them with `method.` before the name, such as `method.beta=500`. Behind `#` in `conf/method/` is the source of each
default; here it is in the last column. A method also has a `label`, the name of its row, and `row`, its place.
"""
SECTIONS = {
    "experiment": "A preset: it sets keys of the run and of other groups.",
    "model": "A pair of a teacher and a student, each made of a choice of `network`.",
    "network": "Keys begin with `model.teacher.` or `model.student.`.",
    "teacher": "Keys begin with `teacher.`; a trained teacher also has a `method` and an `optimizer` of its own.",
    "dataset": "Keys begin with `dataset.`.",
    "dataset_fraction": "Short for `fraction`, which takes any share.",
    "optimizer": "Keys begin with `optimizer.`, or with `teacher.optimizer.` for the teacher.",
    "hardware": "Keys begin with `hardware.`.",
    "callbacks": "Keys begin with `callbacks.<choice>.`; [callbacks](callbacks.md) says more.",
    "hydra/launcher": "Keys begin with `hydra.launcher.`. `joblib` has `n_jobs`, the runs at the same time.",
    "hydra/sweeper": "Keys begin with `hydra.sweeper.`.",
}
"""What the page says of each group of conf/, in its order."""
_NO_KEYS = ("label", "row", "defaults", "extra", "params", "experiment")
_WITH_NAMES = ("dataset", "hydra/launcher")
"""Groups in which a command sets the name."""
_BY_PRESET = ("epochs", "batch_size")
"""Keys of a trained teacher that only presets set."""
_LAYERS = {"points": "a list of layers, or null", "embedding": "the name of a layer, or null"}
_COMMENT = re.compile(r"\s# (.*)$")
_UNKNOWN = object()
_CHOSEN = {"fraction": "by `dataset_fraction`"}
_WITHOUT_KEYS = ("experiment", "model", "dataset_fraction")
"""Groups whose files set keys of the run, or of other groups."""
_HEADER = ["key", "default", "must be", "meaning"]

Line = list[str]


def pages() -> dict[str, str]:
    """Returns the pages by their paths in docs/."""
    groups = [f"## {group}\n\n{text}\n\n{_group(group)}" for group, text in SECTIONS.items()]
    keys = [INTRODUCTION.strip(), f"## Keys of a run\n\n{_table(_run_keys(), _HEADER)}", *groups]
    methods = [METHODS.strip(), _group("method")]
    return {"config_keys.md": "\n\n".join(keys) + "\n", "methods/keys.md": "\n\n".join(methods) + "\n"}


def allowed(annotation: Any) -> str:
    """Returns what a value must be, in the words of the message that refuses another one."""
    try:
        check("", _UNKNOWN, annotation)
    except ConfigError as problem:
        text = str(problem).partition(": must be ")[2].rstrip(".")
        return text.replace("None", "null").replace("True", "true").replace("False", "false")
    return "a group of keys" if is_dataclass(annotation) else "any value"


def _table(lines: Iterator[Line], header: list[str]) -> str:
    return tabulate(list(lines), header, tablefmt="github", disable_numparse=True)


def _group(group: str) -> str:
    if group in _WITHOUT_KEYS:
        return _table(_settings_of(group), ["choice", "meaning", "sets"])
    return _table(_choices(group), ["choice", *_HEADER])


def _run_keys() -> Iterator[Line]:
    """Yields a line for each key that belongs to no group."""
    values, comments = _read(CONF / "config.yaml")
    meanings = _attributes(RunConfig)
    for field in fields(RunConfig):
        name, annotation = field.name, annotations(RunConfig)[field.name]
        if name == "augmentation":
            yield from _augmentation(values[name], comments[name])
        elif name not in ("variant", "method", *SECTIONS):
            default = _text(values[name]) if name in values else _CHOSEN.get(name, "by `experiment`")
            yield [f"`{name}`", default, _escaped(allowed(annotation)), _escaped(comments.get(name) or meanings[name])]


def _augmentation(values: Mapping[str, Any], comment: str) -> Iterator[Line]:
    meanings = _attributes(Augmentation)
    for name, value in values.items():
        may_be = _escaped(allowed(annotations(Augmentation)[name]))
        yield [f"`augmentation.{name}`", _text(value), may_be, meanings[name]]


def _choices(group: str) -> Iterator[Line]:
    """Yields a line for each file of a group, with its first comment, and below it a line for each of its keys."""
    for path in sorted((CONF / group).glob("*.yaml")):
        values, comments = _read(path)
        yield [f"**`{path.stem}`**", "", "", "", _escaped(_first_comment(path))]
        yield from _keys(values, comments, group, path.stem)


def _settings_of(group: str) -> Iterator[Line]:
    """Yields a line for each file of a group, with its first comment and what it sets."""
    for path in sorted((CONF / group).glob("*.yaml")):
        yield [
            f"`{path.stem}`",
            _escaped(_first_comment(path)),
            _settings(_read(path)[0], "model." if group == "model" else ""),
        ]


def _first_comment(path: Path) -> str:
    return next(line[2:] for line in path.read_text(encoding="utf-8").splitlines() if "@package" not in line)


def _keys(values: Mapping[str, Any], comments: Mapping[str, str], group: str, choice: str) -> Iterator[Line]:
    values = values[choice] if group == "callbacks" and choice in values else values
    types = _types(_target(group, choice), group, choice)
    for key in _BY_PRESET if choice == "trained" else ():
        yield ["", f"`{key}`", "by `experiment`", _escaped(allowed(types[key])), ""]
    for key, value in _flat(_own(values)):
        if key == "name" and group not in _WITH_NAMES:
            continue
        may_be = allowed(types[key]) if key in types else _LAYERS.get(key, "")
        yield ["", f"`{key}`", _text(value), _escaped(may_be), _escaped(comments.get(key, ""))]


def _target(group: str, choice: str) -> str | None:
    """Returns what takes a choice's keys; another choice of the group, on which this one is built, may name it."""
    values, _ = _read(CONF / group / f"{choice}.yaml")
    based_on = [item for item in values.get("defaults", []) if isinstance(item, str) and item != "_self_"]
    return values.get("_target_") or next((_target(group, base) for base in based_on), None)


def _types(target: str | None, group: str, choice: str) -> dict[str, Any]:
    """Returns the annotations of a choice's keys, as far as they are known."""
    if group == "teacher":
        cls = TeacherProtocol if choice == "trained" else TeacherFile
        nested = {f"augmentation.{name}": one for name, one in annotations(Augmentation).items()}
        return {name: one for name, one in annotations(cls).items() if name not in LAYERS} | nested
    if target is None or not target.startswith("kd_bench.") or group == "callbacks":
        return {}
    return {name: parameter.annotation for name, parameter in keyword_only("", target).items()}


def _settings(values: Mapping[str, Any], prefix: str) -> str:
    """Returns what a preset or a pair sets, its choices of groups too.

    Args:
        values: The values of its file.
        prefix: The beginning of its keys on a command line.
    """
    chosen = [item for item in values.get("defaults", []) if isinstance(item, dict)]
    groups = {name.removeprefix("override ").lstrip("/"): value for item in chosen for name, value in item.items()}
    every = {name.replace("@", f"@{prefix}"): value for name, value in groups.items()}
    every |= dict(_flat(_own(values), prefix))
    return ", ".join(f"`{key}={_plain(value)}`" for key, value in every.items() if key != f"{prefix}name")


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _NO_KEYS}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the keys of a file with their values, those inside each other with dots."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif name != "_target_":
            yield f"{prefix}{name}", value


@cache
def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns a file's values, and the comments behind its keys, by the key's own name."""
    text = path.read_text(encoding="utf-8")
    comments = {}
    for line in text.splitlines():
        key, comment = re.match(r" *(\w+):", line), _COMMENT.search(line)
        if key and comment:
            comments[key[1]] = comment[1]
    return yaml.safe_load(text), comments


def _attributes(cls: type) -> dict[str, str]:
    """Returns what the docstring of a dataclass says of its fields."""
    text = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {6,}.*)*)", text, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", meaning).rstrip(".") for name, meaning in found}


def _text(value: Any) -> str:
    if value == "???":
        return "to be given"
    return "computed" if isinstance(value, str) and value.startswith("${") else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")


if __name__ == "__main__":
    for path, text in pages().items():
        Path(__file__).parent.joinpath(path).write_text(text, encoding="utf-8")
