import keras
import numpy as np
import pytest

from kd_bench.complexity import multiply_adds
from kd_bench.errors import ConfigError
from kd_bench.networks.vgg import vgg


def build(depth, points=(1, 2, 3), shape=(32, 32, 3), classes=100, channels=64, poolings=3, **options):
    sizes = {"depth": depth, "stem_channels": channels, "poolings": poolings}
    return vgg(shape, classes, **sizes, points=list(points), **options)


@pytest.mark.parametrize(("depth", "count", "biases"), [(8, 3_965_028, 1472), (13, 9_462_180, 2944)])
def test_parameters_are_those_of_the_benchmarks_without_the_useless_biases(depth, count, biases):
    # RepDistiller's vgg8_bn and vgg13_bn on CIFAR-100, by hand from its configurations: 3.96 M and 9.46 M.
    trainable = sum(np.prod(variable.shape) for variable in build(depth).trainable_variables)
    assert trainable == count - biases


@pytest.mark.parametrize("depth", [8, 11, 13, 16, 19])
def test_depth_counts_convolutions_and_the_papers_three_dense_layers(depth):
    layers = build(depth, channels=4).layers
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in layers) == depth - 3
    assert sum(isinstance(layer, keras.layers.Dense) for layer in layers) == 1


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([1, 2, 3], [(32, 32, 64), (16, 16, 128), (8, 8, 256)]),
        ([2, 3, 4, 5], [(16, 16, 128), (8, 8, 256), (4, 4, 512), (4, 4, 512)]),
        ([5], [(4, 4, 512)]),
    ],
)
def test_outputs_by_name(points, expected):
    outputs = build(8, points).output
    assert outputs["logits"].shape == (None, 100)
    assert outputs["embedding"].shape == (None, 512)
    for point in ("pre", "post", "passed"):
        assert [tensor.shape[1:] for tensor in outputs[point]] == expected


@pytest.mark.parametrize("depth", [8, 13])
def test_points_are_of_one_forward_pass(generator, depth):
    network = build(depth, [1, 2, 3, 4, 5], shape=(8, 8, 1), channels=4)
    norms = [point._keras_history.operation for point in network.output["pre"]]
    probe = keras.Model(network.input, {**network.output, "convolved": [norm.input for norm in norms]})
    outputs = probe(generator.normal(size=(4, 8, 8, 1)), training=True)
    maps = (outputs[kind] for kind in ("convolved", "pre", "post", "passed"))
    for convolved, pre, post, passed in zip(*maps, strict=True):
        mean, variance = np.mean(convolved, axis=(0, 1, 2)), np.var(convolved, axis=(0, 1, 2))
        np.testing.assert_allclose(pre, (convolved - mean) / np.sqrt(variance + 1e-5), atol=1e-4)
        np.testing.assert_array_equal(post, np.maximum(pre, 0))
        np.testing.assert_array_equal(passed, post)
    np.testing.assert_allclose(outputs["embedding"], np.mean(outputs["post"][-1], axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("size", "poolings"), [(8, 3), (30, 3), (64, 4)])
def test_a_pooling_rounds_up_as_a_strided_convolution_does(size, poolings):
    outputs = build(8, [1, 2, 3, 4, 5], shape=(size, size, 1), channels=4, poolings=poolings).output
    sizes = [-(-size // 2 ** min(block, poolings)) for block in range(5)]
    assert [tensor.shape[1] for tensor in outputs["post"]] == sizes


def test_with_symmetric_padding_a_pooling_rounds_down():
    outputs = build(8, [1, 2, 3, 4, 5], shape=(30, 30, 1), channels=4, padding="symmetric").output
    assert [tensor.shape[1] for tensor in outputs["post"]] == [30, 15, 7, 3, 3]
    with pytest.raises(ConfigError, match="too small"):
        build(8, shape=(7, 7, 1), channels=4, padding="symmetric")


def test_multiply_adds_of_vgg_8():
    # 3x3 convolutions at 32, 16, 8, 4 and 4 pixels; 100 classes.
    shallow = 1024 * 3 * 64 + 256 * 64 * 128 + 64 * 128 * 256
    deep = 16 * 256 * 512 + 16 * 512 * 512
    assert multiply_adds(build(8)) == 9 * (shallow + deep) + 51_200


@pytest.mark.parametrize("points", [[], [3, 2], [2, 2], [0, 1], [4, 6]])
def test_points_that_are_no_blocks_are_refused(points):
    with pytest.raises(ConfigError, match="points="):
        build(8, points, channels=4)


def test_pooling_after_the_last_block_is_refused():
    with pytest.raises(ConfigError, match="poolings=5"):
        build(8, channels=4, poolings=5)
