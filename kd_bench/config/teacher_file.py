"""A trained network of the user as the teacher: its file, found by its own path or by the folder of a run.

A Keras file has the network; a file of PyTorch has only its weights, and `model.teacher` says what they are of.
"""

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import to_absolute_path

from kd_bench.config.checksums import cached_checksum
from kd_bench.config.network import LAYERS, check_layers
from kd_bench.config.paths import expanded
from kd_bench.errors import ConfigError

_NETWORK = "network.keras"
"""The network in the folder of a run."""
_CONTENT = "config.json"
"""A file that Keras puts into each `.keras` archive."""
_WEIGHTS = (".pth", ".pt", ".safetensors")
"""The suffixes of files with weights alone."""
_AS_THEY_ARE = "none"
"""The `teacher.normalisation` of a network that normalises its images itself."""
_OF_TRAINING = ("seed", "epochs", "batch_size", "optimizer")
"""Keys of a teacher that is trained. Presets set them for every run."""
_ALLOWED = ("path", "normalisation", *LAYERS)
"""Keys of a teacher in a file that a user can set."""


def read_teacher_file(node: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the config of a teacher in a file without what only a training needs, and with the file's checksum.

    Raises:
        ConfigError: there is no such file, what names its layers is no name, or nothing says which images it takes.
    """
    file = _find(str(node["path"]))
    if has_weights_alone(file) and node.get("normalisation") == _AS_THEY_ARE:
        raise ConfigError(
            f"teacher.normalisation={_AS_THEY_ARE}: a network of PyTorch does not normalise its images itself; write "
            "cifar100 (RepDistiller, mdistiller), dataset, zero_to_one or minus_one_to_one."
        )
    kept = {name: value for name, value in node.items() if name not in _OF_TRAINING}
    layers = {name: check_layers(f"teacher.{name}", node.get(name)) for name in LAYERS}
    return kept | layers | {"path": str(file), "checksum": cached_checksum(file)}


def refuse_training(lines: Iterable[str]) -> None:
    """Raises ConfigError if an override of a run says how to train its teacher, which is in a file."""
    for line in lines:
        key = line.partition("=")[0].lstrip("+~").rpartition("@")[2]
        if key.startswith("teacher.") and key.removeprefix("teacher.") not in _ALLOWED:
            raise ConfigError(f"{line}: a teacher in a file (teacher=file) is not trained; leave this out.")


def has_weights_alone(file: Path) -> bool:
    """Returns whether a file has the weights of a network and not the network: PyTorch's, or safetensors'."""
    return file.suffix in _WEIGHTS


def _find(path: str) -> Path:
    place = Path(to_absolute_path(str(expanded("teacher.path", path))))
    file = place / _NETWORK if place.is_dir() else place
    if not place.exists():
        problem = "there is no such file or folder"
    elif not file.is_file():
        problem = f"the folder has no {_NETWORK}; give the folder of a run that is done"
    elif not has_weights_alone(file) and (file.suffix != ".keras" or not _is_keras_archive(file)):
        problem = (
            "is not a Keras file; save the network by network.save('name.keras'), or give a file with the weights of "
            f"PyTorch ({', '.join(_WEIGHTS)})"
        )
    else:
        return file
    raise ConfigError(f"teacher.path={path}: {problem}.")


def _is_keras_archive(file: Path) -> bool:
    return zipfile.is_zipfile(file) and _CONTENT in zipfile.ZipFile(file).namelist()
