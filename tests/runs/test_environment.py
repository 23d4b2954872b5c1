import json
import subprocess

import pytest

from kd_bench.runs import environment


def test_facts_are_json():
    json.dumps([environment.versions(), environment.machine(), environment.git_revision()])
    assert {"python", "kd_bench", "tensorflow", "keras", "numpy"} <= environment.versions().keys()


def test_a_package_that_is_not_installed_is_null(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package",))
    assert environment.versions()["no-such-package"] is None


def test_peak_memory_is_plausible():
    assert 2**20 < environment.peak_memory_bytes() < 2**40


def test_no_repository_and_no_git_are_null(tmp_path, monkeypatch):
    unknown = {"revision": None, "dirty": None}
    assert environment.git_revision(tmp_path) == unknown
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.git_revision() == unknown


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True)

    git("init")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "first")
    return tmp_path


def test_a_repository_has_a_revision_and_may_be_dirty(repository):
    clean = environment.git_revision(repository)
    (repository / "new.py").touch()
    assert (len(clean["revision"]), clean["dirty"]) == (40, False)
    assert environment.git_revision(repository) == clean | {"dirty": True}
