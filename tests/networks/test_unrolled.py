"""The automatic names of layers."""

import keras

from kd_bench.networks.unrolled import names_from_the_start


def test_automatic_names_do_not_depend_on_earlier_networks():
    keras.layers.Dense(3)
    with names_from_the_start():
        inside = [keras.layers.Dense(3).name, keras.layers.Dense(3).name]
    assert inside == ["dense", "dense_1"]
    assert keras.layers.Dense(3).name not in inside
