"""The networks of keras.applications, by name."""

import keras
import numpy as np
import pytest

from kd_bench.errors import ConfigError
from kd_bench.networks.keras_applications import keras_application


def test_it_returns_logits_and_takes_options():
    model = keras_application((32, 32, 1), 7, application="MobileNetV2", options={"alpha": 0.35})
    assert model.output_shape == (None, 7)
    assert model.layers[-1].activation is keras.activations.linear
    assert model.get_layer("Conv1").filters == 16


@pytest.mark.parametrize("application", ["EfficientNetB0", "EfficientNetV2B0"])
def test_it_takes_normalised_images_as_they_are(application):
    model = keras_application((32, 32, 3), 7, application=application, options={})
    images = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    before_stem = keras.Model(model.inputs, model.get_layer("stem_conv").input)
    read = before_stem([images])
    np.testing.assert_allclose(read[:, :32, :32], images, rtol=1e-5)  # EfficientNetB0 pads at the ends


REFUSED = {
    "an unknown name": (
        "MobilNetV2",
        {},
        32,
        r"application=MobilNetV2: not in keras\.applications\. Did you mean MobileNet",
    ),
    "an unknown option": ("MobileNetV2", {"width": 2}, 32, r"MobileNetV2 has no option width here\. Allowed: alpha\."),
    "an option that is set here": (
        "ResNet50",
        {"weights": "imagenet"},
        32,
        r"no option weights here\. Allowed: none\.",
    ),
    "small images": ("ResNet50", {}, 8, "application=ResNet50: Input size must be at least 32x32"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    application, options, size, message = REFUSED[name]
    with pytest.raises(ConfigError, match=message):
        keras_application((size, size, 3), 7, application=application, options=options)
