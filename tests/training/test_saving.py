"""The saved network: plain float32 layers that normalise, whatever trained them, and the way back to a teacher."""

import keras
import numpy as np
import pytest

from kd_bench.errors import DamageError
from kd_bench.networks.wide_resnet import wide_resnet
from kd_bench.training.saving import load_weights, ready_to_use, save_network

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
MEAN, STD = np.float32([80, 90]), np.float32([30, 40])


def network(channels=4, classes=10):
    return wide_resnet((8, 8, 2), classes, depth=10, width=1, stem_channels=channels, stem_stride=1)


@pytest.fixture
def bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def test_a_network_trained_in_mixed_precision_is_saved_in_float32(generator, bfloat16):
    trained = network()
    images = generator.integers(0, 256, (4, 8, 8, 2), np.uint8)
    ready = ready_to_use(trained, MEAN, STD)
    keras.config.set_dtype_policy("float32")
    same = network()
    same.set_weights(trained.get_weights())
    np.testing.assert_allclose(ready(images), same((images - MEAN) / STD)["logits"], rtol=1e-5, atol=1e-5)


def test_the_weights_come_back(tmp_path):
    saved, other = network(), network()
    save_network(tmp_path / "network.keras", saved, MEAN, STD)
    load_weights(tmp_path / "network.keras", other)
    for one, two in zip(saved.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("wrong", [{"channels": 8}, {"classes": 7}])
def test_another_network_is_refused(tmp_path, wrong):
    save_network(tmp_path / "network.keras", network(), MEAN, STD)
    with pytest.raises(DamageError, match="belongs to another network than this run's teacher"):
        load_weights(tmp_path / "network.keras", network(**wrong))


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "network.keras"
    save_network(path, network(), MEAN, STD)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DamageError):
        load_weights(path, network())
