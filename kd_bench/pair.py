"""Builds the networks of a run, and checks that they have the outputs that its method reads."""

from collections.abc import Callable
from typing import Literal

import keras

from kd_bench.config.schema import RunConfig
from kd_bench.data.images import ImageDataset
from kd_bench.distillers.base import Distiller
from kd_bench.errors import ConfigError
from kd_bench.networks.by_layer_name import by_layer_name
from kd_bench.networks.unrolled import Unrolled, names_from_the_start

Side = Literal["teacher", "student"]


def build_network(
    config: RunConfig, kind: type[Distiller], side: Side, dataset: ImageDataset, seed: int
) -> keras.Model:
    """Builds one network of the pair.

    Args:
        config: the run's config.
        kind: the class of its method.
        side: which network.
        dataset: the images that the network reads.
        seed: of its initialisation.

    Raises:
        ConfigError: the network cannot be built, or lacks what the method reads; the message names layers that would
            serve.
    """
    keras.utils.set_random_seed(seed)
    key, architecture = f"model.{side}", getattr(config.model, side)
    sizes = dataset.train.pixels.shape[1:], dataset.num_classes
    with names_from_the_start():
        network = by_layer_name(key, architecture.build(*sizes), *sizes, **architecture.layers)
    # Built again for its names, because the network no longer has its nested models.
    require_outputs(config, kind, key, network, lambda: architecture.build(*sizes))
    return network


def require_outputs(
    config: RunConfig, kind: type[Distiller], key: str, network: keras.Model, original: Callable[[], keras.Model]
) -> None:
    """Checks that a network has the outputs that the method reads.

    Args:
        config: the run's config.
        kind: the class of its method.
        key: the key of the network's config.
        network: a network of `by_layer_name`.
        original: returns the model that it was made from.

    Raises:
        ConfigError: an output is missing; the message names layers that would serve.
    """
    if lack := _lack(kind, key, network):
        with names_from_the_start():
            suggestion = Unrolled(key, original()).suggestion()
        raise ConfigError(f"method={config.method.name} needs {lack}. {suggestion}")


def _lack(kind: type[Distiller], key: str, network: keras.Model) -> str | None:
    """Returns what the method needs and the network does not have, and what to set; None if nothing is missing."""
    points = _points(network)
    if points < kind.min_points:
        needed = "feature points" if kind.min_points == 1 else f"{kind.min_points} or more feature points"
        return f"{needed}; {key} has {points or 'none'}: set ++{key}.points=[...], layers from shallow to deep"
    if kind.needs_embedding and "embedding" not in network.output:
        return f"an embedding; {key} has none: set ++{key}.embedding to a layer that returns vectors or maps"
    return None


def require_equally_many_points(
    config: RunConfig, kind: type[Distiller], teacher: keras.Model, student: keras.Model
) -> None:
    """Raises `ConfigError` if the method matches feature points and the networks have different numbers of them."""
    if kind.min_points and _points(teacher) != _points(student):
        raise ConfigError(
            f"method={config.method.name} needs equally many feature points in both networks; the teacher has "
            f"{_points(teacher)} and the student {_points(student)}: change their points."
        )


def _points(network: keras.Model) -> int:
    return len(network.output.get("post", ()))
