"""Compares speed and memory with a floor, and with what a user could use instead: `make bench`."""

PAIR_NAMES = ("digits", "fashion_mnist", "cifar100")
"""The names of `pairs.PAIRS`, for modules that must not import TensorFlow."""
