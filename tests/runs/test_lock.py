"""Locks: who holds them, and file systems that have none."""

import errno
import fcntl
import os
import socket
import threading

import pytest

from kd_bench.errors import StorageError
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import Holder, holder, is_held, locked


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


def test_looking_at_a_lock_does_not_keep_others_from_it(folder):
    folder.lock.touch()
    with folder.lock.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)  # somebody looks, for long
        assert not is_held(folder)
        threading.Timer(0.02, fcntl.flock, (stream, fcntl.LOCK_UN)).start()
        with locked(folder, wait=False) as waited:
            assert not waited


def test_a_lock_tells_its_holder_also_after_it_is_gone(folder):
    assert holder(folder) is None
    with locked(folder):
        pass
    assert holder(folder) == Holder(socket.gethostname(), os.getpid())
    folder.holder.write_text("[]")
    assert holder(folder) is None


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_by_name(number, folder, monkeypatch):
    def no_lock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with pytest.raises(StorageError, match=rf"{folder.path}: this file system has no locks \(flock\)"), locked(folder):
        pass
    folder.lock.touch()
    with pytest.raises(StorageError, match="has no locks"):
        is_held(folder)
