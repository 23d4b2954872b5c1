import numpy as np
import pytest
from distillers.checks import assert_finite, assert_teacher_is_constant, value_and_gradients
from distillers.methods import build, one_step
from distillers.test_kd_svd import post_relu, reference, tall_and_wide
