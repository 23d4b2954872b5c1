import json
import os
import subprocess
import sys

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
    assert environment.git_revision(directory=tmp_path) == unknown
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.git_revision() == unknown


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True)

    (tmp_path / "kd_bench").mkdir()
    (tmp_path / "kd_bench/method.py").touch()
    (tmp_path / "README.md").touch()
    git("init")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first")
    return tmp_path


def test_a_repository_has_a_revision_and_is_dirty_if_its_code_changed(repository):
    method = repository / "kd_bench/method.py"
    clean = environment.git_revision([method], repository)
    assert (len(clean["revision"]), clean["dirty"]) == (40, False)
    method.write_text("changed = True")
    assert environment.git_revision([method], repository) == clean | {"dirty": True}


def test_what_a_user_writes_beside_the_code_changes_no_result(repository):
    (repository / "README.md").write_text("a table")
    (repository / "report.html").touch()
    (repository / "kd_bench/unused.py").touch()
    assert environment.git_revision([repository / "kd_bench/method.py"], repository)["dirty"] is False


@pytest.mark.parametrize("place", ["repository/kd_bench/new.py", "elsewhere/mine.py"])
def test_code_that_is_not_in_the_repository_is_not_its_revision(repository, place, tmp_path_factory):
    folder = repository if place.startswith("repository") else tmp_path_factory.mktemp("elsewhere")
    own = folder / place.partition("/")[2]
    own.touch()
    assert environment.git_revision([own], repository)["dirty"] is True


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_a_repository_of_another_user_has_its_revision(repository):
    method = repository / "kd_bench/method.py"
    clean = environment.git_revision([method], repository)
    for place in [repository, *repository.rglob("*")]:
        os.chown(place, 12345, 12345)
    with pytest.raises(subprocess.CalledProcessError):  # what git says without our flag
        subprocess.run(["git", "-C", repository, "status"], check=True, capture_output=True)
    assert environment.git_revision([method], repository) == clean


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_INDEX_FILE"])
def test_the_repository_of_a_hook_is_not_that_of_the_code(repository, monkeypatch, name, tmp_path_factory):
    clean = environment.git_revision((), repository)
    monkeypatch.setenv(name, str(tmp_path_factory.mktemp("other") / name))
    assert environment.git_revision((), repository) == clean


def test_an_unpacked_copy_has_no_revision_of_the_repository_around_it(repository):
    copy = repository / "unpacked/kd_bench"
    copy.mkdir(parents=True)
    (copy / "method.py").touch()
    unknown = {"revision": None, "dirty": None}
    assert environment.git_revision([copy / "method.py"], copy.parent) == unknown


@pytest.mark.parametrize(("given", "uses"), [(None, True), ("0", False)])
def test_runs_compute_with_onednn_unless_told_otherwise(given, uses):
    code = "import kd_bench, tensorflow; from kd_bench.runs.environment import machine; print(machine()['onednn'])"
    variables = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    variables |= {} if given is None else {"TF_ENABLE_ONEDNN_OPTS": given}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(uses)
