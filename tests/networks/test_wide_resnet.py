import numpy as np
import pytest

from kd_bench.complexity import multiply_adds
from kd_bench.errors import ConfigError
from kd_bench.networks.wide_resnet import wide_resnet


def build(depth, width, shape=(32, 32, 3), classes=10, channels=16, stride=1):
    return wide_resnet(shape, classes, depth=depth, width=width, stem_channels=channels, stem_stride=stride)


@pytest.mark.parametrize(("depth", "width", "millions"), [(40, 4, 8.9), (16, 4, 2.7), (16, 2, 0.7), (40, 2, 2.2)])
def test_parameters_are_those_of_the_literature(depth, width, millions):
    network = build(depth, width)
    trainable = sum(np.prod(variable.shape) for variable in network.trainable_variables)
    assert trainable / 1e6 == pytest.approx(millions, abs=0.06)


def test_outputs_by_name():
    outputs = build(16, 4, classes=100).output
    assert outputs["logits"].shape == (None, 100)
    assert outputs["embedding"].shape == (None, 256)
    expected = [(None, 32, 32, 64), (None, 16, 16, 128), (None, 8, 8, 256)]
    for point in ("pre", "post", "passed"):
        assert [tensor.shape for tensor in outputs[point]] == expected


def test_points_are_of_one_forward_pass(generator):
    network = build(10, 1, shape=(8, 8, 1))
    outputs = network(generator.normal(size=(4, 8, 8, 1)), training=True)
    for passed, pre, post in zip(outputs["passed"], outputs["pre"], outputs["post"], strict=True):
        mean, variance = np.mean(passed, axis=(0, 1, 2)), np.var(passed, axis=(0, 1, 2))
        np.testing.assert_allclose(pre, (passed - mean) / np.sqrt(variance + 1e-5), atol=1e-4)
        np.testing.assert_array_equal(post, np.maximum(pre, 0))
    np.testing.assert_allclose(outputs["embedding"], np.mean(outputs["post"][-1], axis=(1, 2)), rtol=1e-5)


def test_stem_stride_and_channels():
    outputs = build(10, 1, shape=(28, 28, 1), channels=8, stride=2).output
    assert [tensor.shape[1:] for tensor in outputs["post"]] == [(14, 14, 8), (7, 7, 16), (4, 4, 32)]


SIDES = {8: 8, 32: 32, 64: 64, 95: 95, 96: 48, 191: 96, 192: 48, 224: 56, 500: 63}
"""Size of the images -> of the first maps of a network whose stem has no given stride."""


@pytest.mark.parametrize("size", SIDES)
@pytest.mark.parametrize("classes", [2, 200])
def test_without_a_stride_the_stem_shrinks_only_large_images(size, classes):
    outputs = build(10, 1, shape=(size, size + 3, 3), classes=classes, channels=2, stride=None).output
    assert outputs["post"][0].shape[1] == SIDES[size]
    assert outputs["logits"].shape == (None, classes)


def test_the_smaller_side_decides():
    outputs = build(10, 1, shape=(400, 40, 1), channels=2, stride=None).output
    assert outputs["post"][0].shape[1:3] == (400, 40)


@pytest.mark.parametrize(("stride", "kernel"), [(1, 3), (2, 3), (4, 7), (8, 15)])
def test_the_stem_skips_no_pixel(stride, kernel):
    stem = build(10, 1, channels=2, stride=stride).layers[1]
    assert (stem.kernel_size, stem.strides) == ((kernel, kernel), (stride, stride))


def test_multiply_adds_of_wrn_16_4():
    # stem 3*9*16, then by hand group for group, at 32, 16 and 8 pixels; 100 classes.
    group1 = 1024 * (16 * 64 + 9 * 16 * 64 + 3 * 9 * 64 * 64)
    group2 = 256 * (64 * 128 + 9 * 64 * 128 + 3 * 9 * 128 * 128)
    group3 = 64 * (128 * 256 + 9 * 128 * 256 + 3 * 9 * 256 * 256)
    assert multiply_adds(build(16, 4, classes=100)) == 1024 * 432 + group1 + group2 + group3 + 25600


def test_a_depth_that_is_no_wide_resnet_is_refused():
    with pytest.raises(ConfigError, match="depth=12"):
        build(12, 1)
