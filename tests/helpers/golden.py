"""The inputs of the specification's golden values, in float64."""

import numpy as np

_n = np.arange(96.0).reshape(2, 4, 4, 3)
STUDENT_MAP = np.sin(0.37 * _n)
TEACHER_MAP = 1.5 * np.cos(0.23 * _n)
_m = np.arange(20.0).reshape(4, 5)
STUDENT_LOGITS = 2 * np.sin(0.37 * _m)
TEACHER_LOGITS = 3 * np.cos(0.23 * _m)
LABELS = np.array([0, 1, 2, 3])
