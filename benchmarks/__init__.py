"""Speed and memory, side by side with a floor and with what a user would pick instead: `make bench`."""

PAIR_NAMES = ("digits", "fashion_mnist", "cifar100")
"""Of `pairs.PAIRS`, for who must not import TensorFlow."""
