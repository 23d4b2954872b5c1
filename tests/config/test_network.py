"""The names of layers in the config of a network."""

import pytest

from kd_bench.config.compose import jobs
from kd_bench.config.network import Network
from kd_bench.errors import ConfigError

RESNET = {"_target_": "kd_bench.networks.resnet.resnet", "depth": 8, "width": 1, "stem_channels": 4, "stem_stride": 1}
RESNET |= {"shortcut": "padding"}


def parsed(**given):
    return Network.parse("model.student", RESNET | given)


@pytest.mark.parametrize("points", [["a", "b/c"], [{"post": "a", "passed": "b"}, "c"]])
def test_points_are_kept_and_not_given_to_the_function(points):
    network = parsed(points=points, embedding="pool")
    assert network.layers == {"points": points, "embedding": "pool"}
    assert network.build((8, 8, 1), 10).count_params() == parsed().build((8, 8, 1), 10).count_params()


def test_no_points_are_no_parameter():
    assert parsed(points=None, embedding=None) == parsed()


def test_a_functions_own_points_are_no_layers():
    (run,) = jobs(["model=vgg_13_vgg_8"])
    assert run.model.teacher.layers == {}
    assert run.model.teacher.parameters["points"] == [2, 3, 4, 5]


NO_POINTS = r"model\.student\.points=.*: must be a list of layers, shallow to deep"
REFUSED = [
    *[({"points": wrong}, NO_POINTS) for wrong in ("a", [], [1], [{"pre": "a"}], [{"post": "a", "after": "b"}])],
    ({"embedding": 3}, r"model\.student\.embedding=3: must be a text"),
    ({"point": ["a"]}, r"model\.student\.point: there is no such key\. Did you mean points\?"),
    ({"_target_": "keras.applications.ResNet50"}, r"keras_application, application: ResNet50, options: \{\}"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        parsed(**given)
