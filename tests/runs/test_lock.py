"""Locks: who holds them, and file systems that have none."""

import errno
import fcntl
import os

import pytest

from kd_bench.errors import StorageError
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import is_held, locked


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.make()
    return made


def test_a_lock_is_held_while_its_holder_is_in_it(folder):
    assert not is_held(folder)
    with locked(folder):
        assert is_held(folder)
    assert not is_held(folder)


def test_looking_at_a_lock_makes_no_file(tmp_path):
    assert not is_held(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_by_name(number, folder, monkeypatch):
    def no_lock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with pytest.raises(StorageError, match=rf"{folder.path}: this file system has no locks \(flock\)"), locked(folder):
        pass
