import keras
import numpy as np
import pytest
from helpers.methods import small_batch

from kd_bench.distillers.connectors import classifier_of
from kd_bench.errors import ConfigError
from kd_bench.networks.wide_resnet import wide_resnet


def test_the_classifier_is_the_networks_own():
    network = wide_resnet((8, 8, 1), 10, depth=10, width=1, stem_channels=8, stem_stride=1)
    outputs, classifier = network(small_batch()[0]), classifier_of(network)
    np.testing.assert_array_equal(classifier(outputs["embedding"]), outputs["logits"])
    network.get_layer("logits").bias.assign_add(np.ones(10))
    np.testing.assert_allclose(classifier(outputs["embedding"]), outputs["logits"] + 1, rtol=1e-6)
    assert len(classifier.variables) == 2


def test_a_network_that_classifies_something_else_is_refused():
    images = keras.Input((8, 8, 1))
    features = keras.layers.Conv2D(4, 3)(images)
    logits = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(10, 1)(features))
    network = keras.Model(images, {"logits": logits, "embedding": keras.layers.GlobalAveragePooling2D()(features)})
    with pytest.raises(ConfigError, match=r"^model: .* has no classifier that reads its embedding alone"):
        classifier_of(network)
