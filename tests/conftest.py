"""What all tests share. Importing this sets no device: a test that needs replicas starts a process of its own."""

import numpy as np
import pytest


@pytest.fixture
def generator():
    return np.random.default_rng(0)
