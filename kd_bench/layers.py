"""The layers that networks and connectors are made of, with the published protocol's initialisation and constants."""

from typing import Any

import keras
import tensorflow as tf


def convolution(
    channels: int, kernel: int, stride: int = 1, initializer: str | keras.Initializer = "he_normal"
) -> keras.layers.Layer:
    """Returns a convolution without bias, padded to keep the size, He-initialised (He et al. 2015) unless told."""
    return keras.layers.Conv2D(
        channels, kernel, strides=stride, padding="same", use_bias=False, kernel_initializer=initializer
    )


def batch_norm(**options: Any) -> keras.layers.Layer:
    """Returns a batch norm with momentum 0.9 and epsilon 1e-5; its statistics span all replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=replicas > 1, **options)


def classifier(num_classes: int) -> keras.layers.Layer:
    """Returns the last layer; it computes in float32 whatever the network's precision."""
    return keras.layers.Dense(num_classes, dtype="float32", name="logits")
