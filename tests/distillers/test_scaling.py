"""Published weights belong to 32x32 images and to a batch of 64: elsewhere they can be scaled."""

import keras
import pytest
from helpers.methods import build, small_batch

from kd_bench.build import build as build_run
from kd_bench.config.compose import jobs
from kd_bench.distillers.base import Batch
from kd_bench.distillers.scaling import area_ratio
from kd_bench.errors import ConfigError
from kd_bench.networks.by_layer_name import by_layer_name
from kd_bench.networks.resnet import resnet
from kd_bench.networks.vgg import vgg
from kd_bench.networks.wide_resnet import wide_resnet

SCALED = {
    "at": ("beta", 1000.0, 1.0),
    "ab": ("weight", 3e-3, -1.0),
    "co": ("alpha", 1e-3, -1.0),
    "ft": ("beta", 500.0, 0.5),
}
"""Method -> the name of its weight, the authors' value, and the power of the area ratio it is multiplied by."""


def wide(size, stride=1):
    return wide_resnet((size, size, 1), 10, depth=10, width=1, stem_channels=8, stem_stride=stride)


@pytest.mark.parametrize(
    ("network", "ratio"),
    [
        (lambda: wide(32), 1),
        (lambda: wide(32, stride=2), 1 / 4),
        (lambda: wide(8), 1 / 16),
        (lambda: wide(64), 4),
        (lambda: resnet((32, 32, 3), 10, depth=8, width=1, stem_channels=8, stem_stride=1, shortcut="projection"), 1),
        # Its maps are of 16x16 and less, and RepDistiller gives them the weights that it gives to a Wide ResNet's.
        (lambda: vgg((32, 32, 3), 10, depth=8, stem_channels=4, poolings=3, points=[2, 3, 4, 5]), 1),
    ],
)
def test_the_ratio_is_one_at_32x32_and_that_of_the_positions_elsewhere(network, ratio):
    assert area_ratio(network(), network()) == ratio


def test_of_two_sizes_the_smaller_counts():
    assert area_ratio(wide(32), wide(32, stride=2)) == area_ratio(wide(32, stride=2), wide(32)) == 1 / 4


@pytest.mark.parametrize("method", SCALED)
def test_a_weight_is_the_authors_at_32x32_and_scaled_elsewhere(method):
    name, published, power = SCALED[method]
    for size in (32, 16):
        distiller = build(method, ["method.area_scaling=true"], shape=(size, size, 1))
        expected = published * (size / 32) ** (2 * power)
        assert getattr(distiller, name) == pytest.approx(expected)
        assert distiller.effective == ({} if size == 32 else {name: pytest.approx(expected)})


@pytest.mark.parametrize("method", SCALED)
def test_scaling_can_be_switched_off(method):
    name, published, _ = SCALED[method]
    distiller = build(method, ["method.area_scaling=false"])
    assert getattr(distiller, name) == published
    assert distiller.effective == {}


@pytest.mark.parametrize(("method", "published"), [("sp", 3000.0), ("pkt", 30000.0)])
def test_with_batch_scaling_the_weight_is_scaled_by_the_batch_of_the_run(method, published):
    arguments = [f"method={method}", "batch_size=32"]
    for scaling, used in (("true", published / 2), ("false", published)):
        (config,) = jobs([*arguments, f"method.batch_scaling={scaling}"])
        distiller = build_run(config, None).distiller
        assert distiller.weight == used
        assert distiller.effective == ({"weight": used} if scaling == "true" else {})


def test_the_papers_attention_distance_does_not_depend_on_the_area():
    assert build("at", ["method.distance=paper"]).beta == 1000.0


@pytest.mark.parametrize("method", ["at", "ab", "co"])
def test_the_loss_on_constant_maps_no_longer_depends_on_the_size(method):
    """Networks on constant images have nearly constant maps: a loss of positions, not of their number, stays put."""

    def loss(size):
        distiller = build(method, shape=(size, size, 1))
        images, labels, indices = small_batch(4, (1, 1, 1))
        batch = Batch(distiller, images + 0 * small_batch(4, (size, size, 1))[0], labels, indices, 0, 1, 1)
        return float(distiller.distillation_loss(batch) if method != "ab" else distiller.boundary_loss(batch))

    assert loss(32) == pytest.approx(loss(16), rel=0.5)


def test_a_network_without_convolutions_or_maps_is_refused():
    numbers = keras.Input((4,))
    dense = keras.Model(numbers, {"logits": keras.layers.Dense(3)(numbers), "post": []})
    with pytest.raises(ConfigError, match="area_scaling"):
        area_ratio(dense, dense)


def test_a_nested_backbone_for_images_of_any_size():
    images = keras.Input((16, 16, 1))
    backbone = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 3, padding="same")])
    logits = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(backbone(images)))
    network = by_layer_name("model", keras.Model(images, logits), (16, 16, 1), 10)
    assert area_ratio(network, network) == 1 / 4
