"""The identity of a run: the facts that can change its result, and its digest, folder and row name.

A default is no fact. A parameter counts only if it differs from its default in the signature of its `_target_`, a key
only if it differs from its default in `schema.py`. So an option that is added later, with "off" as its default, leaves
the digests of earlier runs as they are.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_bench.config import NAMES, TARGET, without
from kd_bench.config.signature import NO_LITERAL, defaults

if TYPE_CHECKING:  # it imports this module
    from kd_bench.config.component import Component
    from kd_bench.config.schema import RunConfig, TeacherProtocol

PRETRAINED = "pretrained"
"""The `teacher_init` of a method that needs a trained teacher."""

WITHOUT_EFFECT = (
    "outputs",
    "hardware",
    "jit_compile",
    "checkpoint_every",
    "experiment",
    "variant",
    "redo",
    "callbacks",
    "dataset.data_dir",
    "dataset.manual_dir",
    "dataset.streaming",
    "dataset.root",
    "dataset.path",
    "teacher.path",
    "method.label",
    "method.row",
)
"""Keys that cannot change a run's result: the place, the devices and the names of a run."""

_COLUMNS = ("seed", "fraction")
"""Keys that are not part of a row's name: the table averages over seeds, and each fraction is a column."""
_TUNED = "tuned"
"""The key that says how a search chose values. Row names show it in another form."""
_SOFT_LOGITS = ("kd_weight", "kd_temperature")
"""The keys of the soft-logits term beside a method."""
_OWN_OPTIMIZERS = "kd_bench.training.optimizers."
"""The start of the targets of this project's optimizers. What equal keys of others mean is not known."""
_OWN_DATA = "kd_bench.data."
"""The same of data sets."""

DIGITS = 16
"""The length of a digest."""


def digest(facts: Mapping[str, Any]) -> str:
    """Returns the digest of a run's facts: 16 hexadecimal digits."""
    return hashlib.sha256(canonical(facts).encode()).hexdigest()[:DIGITS]


def protocol(facts: Mapping[str, Any]) -> str:
    """Returns the digest without seed, fraction and the values of a search. Only runs that share it are averaged."""
    return digest(without(facts, (*_COLUMNS, *facts.get(_TUNED, {}).get("keys", ()))))


def canonical(facts: Mapping[str, Any]) -> str:
    """Returns a run's facts as a text that is the same for a run and for its record."""
    return json.dumps(_in_parts(facts), sort_keys=True)


def _in_parts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns facts with the parameters of a target below `parameters`, as they were when digests were first made."""
    if TARGET not in facts:
        return {name: _in_parts(value) if isinstance(value, Mapping) else value for name, value in facts.items()}
    named = {name: facts[name] for name in NAMES if name in facts}
    parameters = {name: value for name, value in facts.items() if name not in (TARGET, *NAMES)}
    return {"target": facts[TARGET], **named, "parameters": parameters}


def facts_of(run: "RunConfig") -> dict[str, Any]:
    """Returns everything that can change the result of a run, as plain containers."""
    return _facts(run, {*WITHOUT_EFFECT, *_unused(run)})


def targets(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yields the import paths of the functions and classes in a run's facts."""
    for name, value in facts.items():
        if name == TARGET:
            yield value
        elif isinstance(value, Mapping):
            yield from targets(value)


def directory(run: "RunConfig") -> Path:
    """Returns the folder of a run. It depends only on the config. Pairs with the same teacher share its run."""
    folder, last = Path(run.outputs, run.dataset.name), f"seed={run.seed}-{run.digest}"
    if run.validation:  # separate from the runs that tables show
        folder /= f"validation={run.validation:g}"
    if run.is_teacher:
        network = "file" if run.evaluated else run.model.teacher.target.rpartition(".")[2]
        return folder / "teachers" / network / last
    return folder / run.model.name / run.method.name / f"fraction={run.fraction:g}" / last


def differences(
    config: Mapping[str, Any], preset: Mapping[str, Any], choices: Mapping[str, Any], prefix: str = ""
) -> dict[str, Any]:
    """Returns what differs from the preset: dotted key -> value.

    A component other than the preset's is given by its name, and by its differences from the chosen component.

    Args:
        config: a composed config, whose targets exist.
        preset: its preset, composed. A parameter that it does not set has the default of its target there.
        choices: the config composed with its choices of groups only.
        prefix: of the keys.
    """
    found: dict[str, Any] = {}
    usual = {**(defaults(config[TARGET]) if TARGET in config else {}), **preset}
    for name, value in config.items():
        default: Any = usual.get(name)
        chosen: Any = choices.get(name)
        if value == default:
            continue
        if _are_one_component(value, default):
            found |= differences(
                value, default, chosen if _are_one_component(value, chosen) else {}, f"{prefix}{name}."
            )
        elif _are_one_component(value, chosen) and "name" in value:
            found[f"{prefix}{name}"] = value["name"]
            found |= differences(value, chosen, chosen, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value["name"] if isinstance(value, Mapping) and "name" in value else value
    return found


def _are_one_component(first: Any, second: Any) -> bool:
    """Returns whether two values are mappings, and with names have the same."""
    return isinstance(first, Mapping) and isinstance(second, Mapping) and first.get("name") == second.get("name")


def shown(run: "RunConfig", variant: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the differences from the preset that name a run. A teacher in a file always names it."""
    in_file = run.trained_teacher is None
    named = {key: value for key, value in variant.items() if not (in_file and key.startswith("teacher."))}
    left_out = (*WITHOUT_EFFECT, *_unused(run), *_COLUMNS, _TUNED)
    return {
        key: value
        for key, value in (named | run.teacher.variant).items()
        if not any(f"{key}.".startswith(f"{one}.") for one in left_out)
    }


def nodes(group: Any) -> dict[str, Any]:
    """Returns the values of a dataclass in the shape of Hydra's configs: parameters beside their `_target_`."""
    found: dict[str, Any] = {}
    for field in fields(group):
        value = getattr(group, field.name)
        if field.name == "target":
            found[TARGET] = value
        elif field.name == "parameters":
            found |= value
        else:
            found[field.name] = nodes(value) if is_dataclass(value) else value
    return found


def _facts(group: Any, left_out: Collection[str], prefix: str = "") -> dict[str, Any]:
    """Returns the values of a dataclass that are facts. A group in it that has none is none."""
    found: dict[str, Any] = {}
    for field in fields(group):
        key, value = f"{prefix}{field.name}", getattr(group, field.name)
        if key in left_out or value == field.default:
            continue
        if field.name == "target":
            found[TARGET] = value
        elif field.name == "parameters":
            usual = defaults(group.target)
            found |= {
                name: one
                for name, one in value.items()
                if f"{prefix}{name}" not in left_out and one != usual.get(name, NO_LITERAL)
            }
        elif not is_dataclass(value):
            found[field.name] = value
        elif inner := _facts(value, left_out, f"{key}."):
            found[field.name] = inner
    return found


def _unused(run: "RunConfig") -> list[str]:
    """Returns the keys that the run does not use."""
    unused = _without_effect(run) + _unused_by_dataset(run.dataset)
    if run.trained_teacher is not None:
        unused += [f"teacher.{key}" for key in _without_effect(run.trained_teacher)]
    if not run.kd_weight:
        unused += _SOFT_LOGITS
    if not run.tuned.trials:
        unused.append(f"{_TUNED}.keys")
    return unused + (_unused_by_teacher(run) if run.is_teacher else _unused_by_student(run))


def _unused_by_dataset(dataset: "Component") -> list[str]:
    """Returns the keys of a data set that change no image."""
    if not dataset.target.startswith(_OWN_DATA):
        return []
    unused = [] if dataset.parameters.get("image_size") else ["dataset.resize"]
    return unused if dataset.parameters.get("crop_scale") is None else [*unused, "dataset.padding"]


def _unused_by_teacher(run: "RunConfig") -> list[str]:
    by_students = ["model.name", "model.student", "budget", "subset_seed", "evaluate_every", _TUNED]
    if run.evaluated is None:
        # In this run, no method reads the layers that have a name.
        return [*by_students, "teacher", *(f"model.teacher.{name}" for name in run.model.teacher.layers)]
    training = ("optimizer", "epochs", "batch_size", "label_smoothing", "augmentation")
    replaced = () if run.needs_architecture else ("model",)
    layers = (f"teacher.{name}" for name in run.evaluated.layers)
    return [*by_students, *replaced, *training, "teacher.method", *layers]


def _unused_by_student(run: "RunConfig") -> list[str]:
    if run.teacher_init is None:
        return ["teacher", "model.teacher"]
    if run.teacher_init != PRETRAINED:
        return ["teacher"]
    return [] if run.needs_architecture else ["model.teacher"]


def _without_effect(training: "RunConfig | TeacherProtocol") -> list[str]:
    """Returns the keys that have no effect beside the training options that are on."""
    keys = [] if training.augmentation.rand_augment else ["augmentation.magnitude"]
    optimizer = training.optimizer
    if optimizer.target.startswith(_OWN_OPTIMIZERS) and optimizer.parameters.get("schedule") == "cosine":
        keys += ["optimizer.decay_at", "optimizer.decay_factor"]
    return keys
