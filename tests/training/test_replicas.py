"""One step on two replicas is one step on one: losses, gradients, weight decay, batch norm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.methods import METHODS
from helpers.replicas import OPTIONS

ROOT = Path(__file__).parents[2]


def steps(methods):
    program = [sys.executable, str(Path(__file__).parents[1] / "helpers" / "replicas.py"), *methods]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# A process for several methods: starting one costs more than a step.
@pytest.mark.parametrize("methods", [[*METHODS, OPTIONS][start::2] for start in range(2)], ids=" ".join)
def test_two_replicas_equal_one(methods):
    one, two = steps(methods)
    assert one.keys() == two.keys()
    for name in one:
        assert two[name]["logs"] == pytest.approx(one[name]["logs"], rel=1e-4), name
        np.testing.assert_allclose(two[name]["student"], one[name]["student"], atol=1e-5, rtol=1e-4, err_msg=name)
