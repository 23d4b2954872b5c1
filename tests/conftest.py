"""What all tests share. Importing this sets no device: a test that needs replicas starts a process of its own."""

import gc
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from helpers import records
from helpers.command import SHORT, run


def pytest_collection_finish():
    """Leaves TensorFlow's many modules to no garbage collection: it takes a sixth of the time of tests of methods."""
    gc.freeze()


@pytest.fixture(autouse=True)
def same_precision():
    """Gives Keras its precision back: a run in the tests' own process sets that of its processor."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.fixture
def make_record():
    return records.make_record


@pytest.fixture
def write_outputs(tmp_path):
    """Writes an outputs folder with these records, each in its run's directory."""

    def write(*made, name="outputs"):
        outputs = tmp_path / name
        outputs.mkdir(exist_ok=True)
        for record in made:
            records.write_run(outputs, record)
        return outputs

    return write


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    """The outputs of a small sweep, made once for all workers, and what it printed. Tests do not change them."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    outputs, printed = shared / "sweep", shared / "sweep.txt"
    with FileLock(shared / "sweep.lock"):
        if not printed.exists():
            done = run("-m", "method=teacher,student,fitnet,at", "fraction=1.0,0.1", *SHORT, outputs=outputs)
            assert (done.returncode, done.stderr) == (0, "")
            printed.write_text(done.stdout)
    return outputs, printed.read_text()


@pytest.fixture
def as_stranger(tmp_path, monkeypatch):
    """Takes the rights of another user from this process, if it has all."""
    if os.geteuid() != 0:
        yield
        return
    place = tmp_path / "temporary"
    place.mkdir()
    place.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if Path(tempfile.gettempdir()) not in folder.parents:
            break
        folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(place))  # it may have no right to write into the usual one
    os.seteuid(65534)
    yield
    os.seteuid(0)
