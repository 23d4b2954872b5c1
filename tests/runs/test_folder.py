"""Where runs are, and what of them is deleted."""

import pytest
from helpers.finished import config_of, finish

from kd_bench.runs.folder import RunFolder, find_runs
from kd_bench.runs.lock import locked
from kd_bench.runs.standing import read_standing


@pytest.fixture
def student(tmp_path):
    return config_of(tmp_path, "method=student")


def test_runs_are_found_finished_or_not_through_links_and_hidden_folders_are_none(tmp_path):
    for name in (
        "b/result.json",
        "b/config.yaml",
        "a/config.yaml",
        "a/.hydra/config.yaml",
        "a/logs/config.yaml",
        "c/other.json",
    ):
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).touch()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "link").symlink_to(tmp_path / "here")
    found = [
        (folder.path.relative_to(tmp_path).as_posix(), finished) for folder, finished in find_runs(tmp_path / "there")
    ]
    assert found == [("there/link/a", False), ("there/link/b", True)]


def test_a_run_that_never_began_leaves_nothing(student, tmp_path):
    folder = RunFolder(student.directory)
    folder.make()
    with locked(folder):
        assert folder.holder.exists()
        folder.delete_if_unused(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_wrote_stays(student, tmp_path):
    folder = finish(student)
    folder.delete_if_unused(tmp_path)
    assert read_standing(student).done is not None


def test_another_runs_folder_stays(tmp_path):
    mine, other = config_of(tmp_path, "method=student"), config_of(tmp_path, "method=student", "seed=1")
    finish(other)
    folder = RunFolder(mine.directory)
    folder.make()
    folder.delete_if_unused(tmp_path)
    assert not folder.path.exists()
    assert read_standing(other).done is not None
