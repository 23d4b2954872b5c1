"""KD-EID is KD-SVD by another decomposition; test_kd_svd.py tests both."""

import numpy as np
import pytest
from helpers.methods import build, one_step


def test_a_step_is_kd_svds():
    eid, svd = (build(method) for method in ("kd_eid", "kd_svd"))
    assert (eid.decomposition, svd.decomposition) == ("eid", "svd")
    logs, others = (one_step(distiller, distiller.stages()[0]) for distiller in (eid, svd))
    assert logs == pytest.approx(others, rel=1e-4)
    for one, two in zip(eid.student.variables, svd.student.variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4, err_msg=one.path)
