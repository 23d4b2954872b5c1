"""The work of a method beyond the floor: multiply-adds of its own networks, its relations and its gradient clip."""

from collections.abc import Callable, Sequence

import keras

from benchmarks.pairs import Pair
from kd_bench import complexity
from kd_bench.distillers.base import Distiller

FORWARD_AND_BACKWARD = 3
"""In forward passes: a backward pass has two products of the same size, for the weights and for the inputs."""


def step_multiply_adds(pair: Pair) -> int:
    """Returns the multiply-adds of a distillation step: teacher forward, student forward and backward."""
    one_image = multiply_adds(pair.teacher()) + FORWARD_AND_BACKWARD * multiply_adds(pair.student())
    return pair.batch_size * one_image


def multiply_adds(network: keras.Model) -> int:
    """Returns the multiply-adds of one image's forward pass through one of this project's networks."""
    count = complexity.multiply_adds(network)
    assert count is not None
    return count


def own_share(pair: Pair, method: str) -> float:
    """Returns a method's additional multiply-adds, without decompositions, divided by `step_multiply_adds`."""
    if method not in _OF_AN_IMAGE:
        return 0.0
    return pair.batch_size * _OF_AN_IMAGE[method](pair.distiller(method), pair) / step_multiply_adds(pair)


def _trained(networks: Sequence[keras.Model]) -> int:
    return FORWARD_AND_BACKWARD * sum(map(multiply_adds, networks))


def _second_way_back(distiller: Distiller, _: Pair) -> int:
    """Each clipped term has its own gradient: the second term needs another backward pass through the student."""
    return (FORWARD_AND_BACKWARD - 1) * multiply_adds(distiller.student)


def _angles(_: Distiller, pair: Pair) -> int:
    """B products of [B,D] with itself, over B images."""
    own, theirs = (network.output["embedding"].shape[-1] for network in (pair.student(), pair.teacher()))
    return pair.batch_size**2 * (FORWARD_AND_BACKWARD * own + theirs)


_OF_AN_IMAGE: dict[str, Callable[..., int]] = {
    "vid": lambda distiller, _: _trained(distiller.mean_networks),
    "ft": lambda distiller, _: _trained([distiller.translator]) + multiply_adds(distiller.encoder),
    "co": lambda distiller, _: _trained([distiller.connectors]),
    "rkd": _angles,
    **dict.fromkeys(["kd_svd", "kd_eid", "mhgd"], _second_way_back),
}
