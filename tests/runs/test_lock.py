"""Locks: who holds them, and file systems that have none."""

import errno
import fcntl
import os
import socket
import tempfile
import threading

import pytest

from kd_bench.errors import StorageError
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import Holder, holder, is_held, locked, machine_locks


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


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_locks_of_this_machine_are_its_user_s_alone(temporary):
    folder = machine_locks()
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700
    assert machine_locks() == folder
    folder.chmod(0o755)  # others can read it, as they can the folders of earlier versions
    assert machine_locks() == folder


@pytest.mark.parametrize("made_by", ["another user", "a link", "a file", "a group", "everybody"])
def test_a_folder_for_locks_that_others_can_write_to_is_refused(made_by, temporary, monkeypatch):
    folder = machine_locks()
    if made_by == "another user":
        another = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: another)
        folder.rename(temporary / f"kd_bench-{os.getuid()}")
    elif made_by in ("a group", "everybody"):
        folder.chmod(0o770 if made_by == "a group" else 0o777)
    else:
        folder.rmdir()
        folder.symlink_to(temporary) if made_by == "a link" else folder.touch()
    with pytest.raises(StorageError, match=r"set the environment variable TMPDIR|cannot be written"):
        machine_locks()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"host": 1, "process": 1}', "[" * 99_999, '{"host": "a\\u001b", "process": 1}']
)
def test_an_odd_holder_is_nobody(content, folder):
    folder.holder.write_text(content)
    assert holder(folder) is None
