"""The last part of a network: what turns its embedding into logits."""

import keras

from kd_bench.errors import ConfigError


def classifier_of(network: keras.Model) -> keras.Model:
    """Returns the part of a network from its embedding, `[B,D]`, to its logits, `[B,K]`. It shares the layers.

    Raises:
        ConfigError: the logits do not depend on the embedding alone.
    """
    try:
        return keras.Model(network.output["embedding"], network.output["logits"], name="classifier")
    except ValueError as error:
        raise ConfigError(
            f"model: {network.name} has no classifier that reads its embedding alone; name as `embedding` the layer "
            "that the classifier reads (docs/own_networks.md)."
        ) from error
