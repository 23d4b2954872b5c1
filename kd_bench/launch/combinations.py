"""Which runs of a command may be impossible although their configs are right, and which of them one build decides.

What a build cannot refuse is left out, so that most commands build nothing in advance. Nothing here imports TensorFlow.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from kd_bench.config import identity, without
from kd_bench.config.paths import prepared_folder
from kd_bench.config.schema import Named, RunConfig
from kd_bench.installation import CONF
from kd_bench.runs.standing import read_standing

_TFDS = "kd_bench.data.datasets.load_dataset"
_OWN_METHODS = "kd_bench.distillers."
_SMALL_FRACTION = 0.1
"""A part of the training images below it may have none of a class, or fewer than a batch."""
_NOT_BUILT = (
    *("seed", "epochs", "budget", "evaluate_every", "tuned", "optimizer", "label_smoothing"),
    *("kd_weight", "kd_temperature", "precision", "deterministic", "augmentation.mixup", "augmentation.cutmix"),
    *("teacher.seed", "teacher.epochs", "teacher.optimizer", "teacher.label_smoothing"),
)
"""Keys on which it does not depend whether a run can be built."""


class Combination(NamedTuple):
    """What decides whether a run can be built.

    Attributes:
        facts: all but the fraction, as text. If it can be built at one fraction, then at all larger ones.
        fraction: of the training images.
    """

    facts: str
    fraction: float


def combination(run: RunConfig) -> Combination:
    """Returns the combination of a run."""
    return Combination(identity.canonical(without(run.facts(), ("fraction", *_NOT_BUILT))), run.fraction)


def to_build(runs: Iterable[RunConfig]) -> list[RunConfig]:
    """Returns one run of each combination that may be refused and of which no run has been built before.

    Args:
        runs: of the command, with their teachers.

    Returns:
        The runs to build, those with small fractions first.
    """
    found: dict[Combination, RunConfig] = {}
    built: set[Combination] = set()
    for run in filter(_may_be_refused, runs):
        found.setdefault(combination(run), run)
        if _was_built(run):
            built.add(combination(run))
    left = [run for one, run in found.items() if one not in built]
    return sorted(left, key=lambda run: run.fraction)


def missing_data(runs: Sequence[RunConfig]) -> list[Named]:
    """Returns the data sets of the runs to do that are not prepared on this machine, each once."""
    missing = [dataset for dataset in each_once(run.dataset for run in runs) if not is_prepared(dataset)]
    return [one for one in missing if any(run.dataset == one and read_standing(run).done is None for run in runs)]


def each_once(datasets: Iterable[Named]) -> list[Named]:
    """Returns the data sets in order, each once."""
    found: list[Named] = []
    for dataset in datasets:
        if dataset not in found:
            found.append(dataset)
    return found


def is_prepared(dataset: Named) -> bool:
    """Returns whether a data set needs no preparation, or has been prepared."""
    if dataset.target != _TFDS:
        return True
    folder = prepared_folder(dataset.name, dataset.parameters.get("data_dir"))
    with contextlib.suppress(OSError):
        return any(folder.rglob("dataset_info.json"))
    return False


def _may_be_refused(run: RunConfig) -> bool:
    is_shipped = run.method.target.startswith(_OWN_METHODS) and not run.model.has_own_networks
    is_usual = is_shipped and (run.dataset.name, run.model.name) == _of_preset(run.experiment)
    part = run.fraction * min(run.validation or 1.0, 1 - run.validation)
    return not is_usual or part < _SMALL_FRACTION or any(map(_is_built, run.variant))


def _is_built(key: str) -> bool:
    return not any(f"{key}.".startswith(f"{one}.") for one in ("validation", *_NOT_BUILT))


def _was_built(run: RunConfig) -> bool:
    standing = read_standing(run)
    return standing.done is not None or standing.checkpoint is not None


@cache
def _of_preset(name: str) -> tuple[str, str] | None:
    """Returns the names of the data set and the pair of a preset of this package; None for any other preset."""
    preset = CONF / "experiment" / f"{name}.yaml"
    if not preset.is_file():
        return None
    chosen = _choices(CONF / "config.yaml") | _choices(preset)
    return chosen["dataset"], chosen["model"]


def _choices(path: Path) -> dict[str, str]:
    """Returns the choices of groups in a config: `override /dataset: cifar100` is `dataset` -> `cifar100`."""
    defaults: Sequence[str | Mapping[str, str]] = yaml.safe_load(path.read_text()).get("defaults", [])
    chosen = [item for entry in defaults if isinstance(entry, Mapping) for item in entry.items()]
    return {key.removeprefix("override ").lstrip("/"): value for key, value in chosen}
