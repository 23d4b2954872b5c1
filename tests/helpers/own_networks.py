"""Networks as a user writes them: a nested backbone, one output, layers with names."""

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
