import numpy as np

from kd_bench.data.images import channel_statistics


def test_statistics_are_those_of_numpy():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), np.uint8)
    mean, std = channel_statistics(pixels)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 1, 2)), rtol=1e-6)


def test_a_constant_channel_has_std_one():
    pixels = np.zeros((4, 2, 2, 2), np.uint8)
    pixels[..., 1] = 7
    mean, std = channel_statistics(pixels)
    assert mean.tolist() == [0, 7]
    assert std.tolist() == [1, 1]


def test_blocks_add_up():
    pixels = np.full((3, 1 << 12, 1 << 12, 1), 9, np.uint8)
    pixels[0] = 0
    np.testing.assert_allclose(channel_statistics(pixels)[0], [6])
