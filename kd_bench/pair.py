"""Builds the networks of a run and its distiller, and checks that the networks have what the method reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from kd_bench.config.schema import RunConfig, TeacherFile
from kd_bench.data.batches import normalise
from kd_bench.data.images import ImageDataset
from kd_bench.distillers.base import Distiller
from kd_bench.distillers.soft_logits import soft_logits_term
from kd_bench.errors import ConfigError
from kd_bench.networks.by_layer_name import by_layer_name
from kd_bench.networks.pytorch_modules import modules_of
from kd_bench.networks.unrolled import Unrolled, names_from_the_start
from kd_bench.runs.finished import FinishedRun
from kd_bench.seeds import seed_for
from kd_bench.training.loading import as_teacher, load_model, load_pytorch_weights, require_no_probabilities
from kd_bench.training.saving import load_weights

Side = Literal["teacher", "student"]

_SOME_IMAGES = 500
"""So many images show whether a network in a file returns probabilities."""


def build_distiller(
    config: RunConfig, distiller_class: type[Distiller], dataset: ImageDataset, trained: FinishedRun | None
) -> Distiller:
    """Builds the networks and the distiller. For one seed, the students of all methods start from the same weights.

    Args:
        config: the run's config.
        distiller_class: the class of its method.
        dataset: the images that the networks read.
        trained: the run of the teacher, if the method has a trained one.

    Raises:
        ConfigError: a network cannot be built, or lacks what the method reads.
        DamageError: the saved network of the teacher does not fit this run's teacher.
    """
    teacher = None if config.teacher_init is None else _teacher(config, distiller_class, dataset, trained)
    student = _student(config, distiller_class, dataset)
    if teacher is not None:
        _require_equally_many_points(config, distiller_class, teacher, student)
    keras.utils.set_random_seed(seed_for(config.seed, "method"))
    distiller: Distiller = config.method.build(student, teacher)
    distiller.label_smoothing = config.label_smoothing
    if config.kd_weight:
        distiller.extra_losses["kd"] = soft_logits_term(config.kd_weight, config.kd_temperature)
    return distiller


def _student(config: RunConfig, distiller_class: type[Distiller], dataset: ImageDataset) -> keras.Model:
    """Returns the network to train; for a teacher in a file, the network to evaluate."""
    if config.evaluated:
        network = _from_file(config, config.evaluated, dataset)
        some = dataset.train.read(np.arange(min(len(dataset.train), _SOME_IMAGES)))
        require_no_probabilities(network(normalise(some, dataset.mean, dataset.std))["logits"])
        return network
    return _network(config, distiller_class, distiller_class.network, dataset, seed_for(config.seed, "initialisation"))


def _teacher(
    config: RunConfig, distiller_class: type[Distiller], dataset: ImageDataset, trained: FinishedRun | None
) -> keras.Model:
    """Returns the teacher with the weights of its run; without a run, a fresh network of its architecture."""
    if config.teacher_run() is not None and isinstance(config.teacher, TeacherFile):
        file = config.teacher if trained is None else config.teacher.at(trained.folder.network)
        network = _from_file(config, file, dataset)
        _require_outputs(config, distiller_class, "teacher", network, lambda: _in_file(config, file, dataset))
        return network
    network = _network(config, distiller_class, "teacher", dataset, seed_for(config.seed, "peer"))
    if trained is not None:
        load_weights(trained.folder.network, network)
    return network


def _from_file(config: RunConfig, file: TeacherFile, dataset: ImageDataset) -> keras.Model:
    """Returns the network of a file, from the images of the batches."""
    sizes = dataset.train.pixels.shape[1:], dataset.num_classes
    # The run of the file's weights saves the network as it is, for students with any layers.
    layers = {} if config.evaluated and file.has_weights_alone else file.layers
    network = _in_file(config, file, dataset)
    at_once = file.has_weights_alone
    return as_teacher(network, *sizes, dataset.mean, dataset.std, file.normalisation, at_once=at_once, **layers)


def _in_file(config: RunConfig, file: TeacherFile, dataset: ImageDataset) -> keras.Model:
    """Returns the network of a file as it is, from the images that it takes."""
    if not file.has_weights_alone:
        return load_model(Path(file.path))
    architecture = config.model.teacher
    modules = modules_of("model.teacher", architecture.target, architecture.parameters)
    with names_from_the_start():
        network = architecture.build(dataset.train.pixels.shape[1:], dataset.num_classes)
    load_pytorch_weights(Path(file.path), network, modules)
    return network


def _network(
    config: RunConfig, distiller_class: type[Distiller], side: Side, dataset: ImageDataset, seed: int
) -> keras.Model:
    """Builds one network of the pair; the seed is that of its initialisation."""
    keras.utils.set_random_seed(seed)
    key, architecture = f"model.{side}", getattr(config.model, side)
    sizes = dataset.train.pixels.shape[1:], dataset.num_classes
    with names_from_the_start():
        network = by_layer_name(key, architecture.build(*sizes), *sizes, **architecture.layers)
    # Built again for its names, because the network no longer has its nested models.
    _require_outputs(config, distiller_class, key, network, lambda: architecture.build(*sizes))
    return network


def _require_outputs(
    config: RunConfig,
    distiller_class: type[Distiller],
    key: str,
    network: keras.Model,
    original: Callable[[], keras.Model],
) -> None:
    """Raises `ConfigError` if a network lacks an output that the method reads; it names layers that would serve.

    `original` returns the model from which `by_layer_name` made the network.
    """
    if lack := _lack(distiller_class, key, network):
        with names_from_the_start():
            suggestion = Unrolled(key, original()).suggestion()
        raise ConfigError(f"method={config.method.name} needs {lack}. {suggestion}")


def _lack(distiller_class: type[Distiller], key: str, network: keras.Model) -> str | None:
    """Returns what the method needs and the network does not have, and what to set; None if nothing is missing."""
    points = _points(network)
    if points < distiller_class.min_points:
        needed = (
            "feature points"
            if distiller_class.min_points == 1
            else f"{distiller_class.min_points} or more feature points"
        )
        return f"{needed}; {key} has {points or 'none'}: set ++{key}.points=[...], layers from shallow to deep"
    if distiller_class.needs_embedding and "embedding" not in network.output:
        return f"an embedding; {key} has none: set ++{key}.embedding to a layer that returns vectors or maps"
    return None


def _require_equally_many_points(
    config: RunConfig, distiller_class: type[Distiller], teacher: keras.Model, student: keras.Model
) -> None:
    """Raises `ConfigError` if the method matches feature points and the networks have different numbers of them."""
    if distiller_class.min_points and _points(teacher) != _points(student):
        raise ConfigError(
            f"method={config.method.name} needs equally many feature points in both networks; the teacher has "
            f"{_points(teacher)} and the student {_points(student)}: change their points."
        )


def _points(network: keras.Model) -> int:
    return len(network.output.get("post", ()))
