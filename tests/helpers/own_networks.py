"""Networks as a user writes them: a nested backbone, one output, layers with names."""

import os
import signal

import keras


def nested(input_shape, num_classes, *, width: int = 4):
    """A small MobileNet under a head, as in transfer learning."""
    images = keras.Input(input_shape)
    pooled = keras.layers.GlobalAveragePooling2D()(_backbone(input_shape, width)(images))
    return keras.Model(images, keras.layers.Dense(num_classes)(keras.layers.Dropout(0.1)(pooled)), name="nested")


def _backbone(input_shape, width):
    images = features = keras.Input(input_shape)
    for block, stride in enumerate((1, 2, 2), start=1):
        features = keras.layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(features)
        features = keras.layers.Conv2D(width * block, 1, use_bias=False)(features)
        features = keras.layers.BatchNormalization(name=f"norm_{block}")(features)
        features = keras.layers.ReLU(6.0, name=f"relu_{block}")(features)
    return keras.Model(images, features, name="backbone")


def plain(input_shape, num_classes, *, width: int = 4):
    """Two convolutions without batch norm."""
    images = keras.Input(input_shape)
    first = keras.layers.Conv2D(width, 3, padding="same", activation="relu", name="first")(images)
    second = keras.layers.Conv2D(2 * width, 3, 2, padding="same", activation="relu", name="second")(first)
    return keras.Model(images, keras.layers.Dense(num_classes)(keras.layers.Flatten()(second)), name="plain")


def deadly(input_shape, num_classes):
    """Ends the process that builds it, as a system without memory does."""
    os.kill(os.getpid(), signal.SIGKILL)
