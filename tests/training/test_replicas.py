"""One step on two replicas is one step on one: losses, gradients, weight decay, batch norm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def steps(replicas):
    program = [sys.executable, str(Path(__file__).with_name("replicas.py")), str(replicas)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_two_replicas_equal_one():
    one, two = steps(1), steps(2)
    assert one.keys() == two.keys()
    for name in one:
        assert two[name]["logs"] == pytest.approx(one[name]["logs"], rel=1e-4), name
        np.testing.assert_allclose(two[name]["student"], one[name]["student"], atol=1e-5, rtol=1e-4, err_msg=name)
