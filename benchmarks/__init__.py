"""Compares speed and memory with a floor, and with what a user could use instead: `make bench`."""

import kd_bench  # noqa: F401  before TensorFlow, whose environment it sets

PAIR_NAMES = ("digits", "fashion_mnist", "cifar100")
"""The names of `pairs.PAIRS`, for modules that must not import TensorFlow."""
