import numpy as np
import pytest
import tensorflow as tf

from kd_bench.distillers.warmup import warmup


def test_with_the_authors_epochs_the_weights_are_theirs():
    """20 of 240 epochs, counted from 1."""
    epochs = np.arange(240)
    middles = tf.constant((epochs + 0.5) / 240, tf.float32)
    np.testing.assert_allclose(warmup(middles, 20 / 240, 20), np.minimum((epochs + 1) / 20, 1), rtol=1e-6)


def test_a_short_run_rises_in_the_same_share():
    first, within, after = warmup(tf.constant([0.0, 0.124, 0.126]), 0.25, 4).numpy()
    assert (first, within, after) == pytest.approx((0.25, 0.5, 0.75))


def test_no_share_is_no_rise():
    np.testing.assert_array_equal(warmup(tf.constant([0.0, 0.5]), 0.0, 20), [1, 1])
