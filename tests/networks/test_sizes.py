"""Images that a network's strides cannot take, and pairs whose feature points must match."""

from pathlib import Path

import pytest

from kd_bench.config import compose
from kd_bench.errors import ConfigError
from kd_bench.networks.by_layer_name import by_layer_name
from kd_bench.networks.resnet import resnet
from kd_bench.networks.sizes import require_size
from kd_bench.networks.vgg import vgg
from kd_bench.networks.wide_resnet import wide_resnet

SIZES = {"stem_channels": 4, "stem_stride": 1, "width": 1}
NETWORKS = {
    "resnet": (lambda shape: resnet(shape, 10, depth=8, shortcut="padding", **SIZES), 3),
    "wide_resnet": (lambda shape: wide_resnet(shape, 10, depth=10, **SIZES), 3),
    "vgg": (lambda shape: vgg(shape, 10, depth=8, stem_channels=4, poolings=3, points=[1, 2, 3]), 5),
}
OF_OTHER_SIZES = {
    *("vgg13_mobilenet_v2", "resnet50_mobilenet_v2", "resnet50_vgg8"),
    *("resnet32x4_shufflenet_v1", "resnet32x4_shufflenet_v2", "wrn_40_2_shufflenet_v1", "resnet34_vit"),
}
"""Pairs whose maps have other sizes: methods that need equal ones refuse them."""
PAIRS = sorted(path.stem for path in (Path(compose.CONF) / "model").glob("*.yaml"))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_smallest_image_is_taken_and_a_smaller_one_refused(network):
    build, smallest = NETWORKS[network]
    outputs = build((smallest, smallest, 1)).output
    assert all(min(tensor.shape[1:3]) >= 1 for tensor in outputs["post"])
    for shape in ((smallest - 1, 8, 1), (8, smallest - 1, 1)):
        with pytest.raises(ConfigError, match=rf"\({shape[0]}, {shape[1]}, 1\)"):
            build(shape)


def test_the_stems_stride_counts():
    sizes = {**SIZES, "stem_stride": 4}
    with pytest.raises(ConfigError, match=r"\(4, 4, 1\)"):
        wide_resnet((4, 4, 1), 10, depth=10, **sizes)
    with pytest.raises(ConfigError, match=r"\(4, 4, 1\)"):
        resnet((4, 4, 1), 10, depth=8, shortcut="padding", **sizes)


def test_a_stride_larger_than_the_map_is_refused():
    require_size((3, 3, 1), [3])
    with pytest.raises(ConfigError, match="a map of size 3 is left for a stride of 4"):
        require_size((3, 3, 1), [4])


@pytest.mark.parametrize("pair", PAIRS)
def test_the_points_of_a_pair_match_in_number_and_size(pair):
    (config,) = compose.jobs([f"model={pair}"])
    shape = {"keras_applications": (32, 32, 3), "resnet34_vit": (224, 224, 3)}.get(pair, (28, 28, 1))
    outputs = [
        by_layer_name("model", part.build(shape, 10), shape, 10, **part.layers).output
        for part in (config.model.teacher, config.model.student)
    ]
    for point in ("pre", "post", "passed"):
        teacher, student = ([tensor.shape[1:3] for tensor in output[point]] for output in outputs)
        assert len(teacher) == len(student)
        assert (teacher == student) == (pair not in OF_OTHER_SIZES)


@pytest.mark.parametrize(("rounded", "smallest"), [("up", 5), ("down", 8)])
def test_a_pooling_rounds_up_or_down(rounded, smallest):
    require_size((smallest, smallest, 1), [2, 2, 2], rounded)
    with pytest.raises(ConfigError, match="a map of size 1 is left for a stride of 2"):
        require_size((smallest - 1, smallest, 1), [2, 2, 2], rounded)
