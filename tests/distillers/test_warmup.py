from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from kd_bench.distillers.warmup import warmup


def weights(steps, share, rises):
    """Returns the weights of all steps of a stage."""
    return warmup(SimpleNamespace(step=tf.range(steps, dtype=tf.int64), steps=steps), share, rises).numpy()


@pytest.mark.parametrize("steps_per_epoch", [1, 7, 39, 390, 781])
@pytest.mark.parametrize("rises", [10, 20])
def test_with_the_authors_epochs_every_step_has_their_weight(rises, steps_per_epoch):
    """min(epoch / rises, 1) in 240 epochs, counted from 1, as in mdistiller and CTKD."""
    epochs = np.repeat(np.arange(1, 241, dtype=np.float32), steps_per_epoch)
    found = weights(240 * steps_per_epoch, f"{rises}/240", rises)
    np.testing.assert_array_equal(found, np.minimum(epochs / np.float32(rises), 1))


def test_a_short_run_rises_in_the_same_share():
    np.testing.assert_array_equal(weights(16, 0.25, 4), [0.25, 0.5, 0.75] + [1] * 13)
    np.testing.assert_array_equal(weights(6, "2/4", 2), [0.5, 0.5] + [1] * 4)


def test_a_share_in_decimals_and_a_long_run_do_not_overflow():
    steps = 10**9
    at_end = warmup(SimpleNamespace(step=tf.constant(steps - 1, tf.int64), steps=steps), 0.123456789012345, 20)
    assert float(at_end) == 1


@pytest.mark.parametrize("share", [0.0, "0/240"])
def test_no_share_is_no_rise(share):
    assert float(warmup(SimpleNamespace(step=tf.constant(0), steps=10), share, 20)) == 1
