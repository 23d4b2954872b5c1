"""A benchmark for knowledge distillation. Importing the package imports no TensorFlow: `config` and `results` run without it."""

__version__ = "0.1.0"
