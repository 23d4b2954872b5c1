"""A benchmark for knowledge distillation.

Importing the package imports no TensorFlow: `config` and `results` run without it.
"""

import os

__version__ = "0.1.0"

# TensorFlow's start-up messages do not help users; its errors are still shown.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
