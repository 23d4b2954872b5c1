"""An optimizer of a user, whose parameters have the names of other things here."""

import keras


def cosine_to_a_share(steps, scale=1.0, *, learning_rate: float, schedule: str, decay_factor: float):
    """With `schedule=cosine`, `decay_factor` is the share of the rate at which the cosine ends."""
    rate = learning_rate * scale
    if schedule == "cosine" and steps:
        rate = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=decay_factor)
    return keras.optimizers.SGD(rate)
