import os
import subprocess
import sys
from pathlib import Path

import pytest

import kd_bench
from kd_bench.checks import FolderName
from kd_bench.config.paths import expanded, require_home
from kd_bench.errors import ConfigError

ROOT = Path(kd_bench.__file__).parents[1]


@pytest.mark.parametrize("path", ["~/a", "a/~", "/a", "a b", 2024])
def test_only_a_leading_tilde_is_a_home(path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(expanded("outputs", path)) == ("/home/me/a" if path == "~/a" else str(path))


@pytest.mark.parametrize("path", ["~no-such-user", "~no-such-user/a"])
def test_a_home_that_is_not_there_is_named_with_its_key(path):
    with pytest.raises(ConfigError, match=rf"^dataset\.root={path}: there is no such home"):
        expanded("dataset.root", path)


@pytest.fixture
def without_entry(monkeypatch):
    """A user whom the system does not know, as in a container with `--user`."""
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # raises KeyError


@pytest.mark.parametrize("home", [None, "relative", "~", "./here"])
def test_a_user_without_a_home_gets_one_line(home, without_entry, monkeypatch):
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    with pytest.raises(ConfigError, match=f"^HOME={home or ''}: must be the whole path of a folder"):
        require_home()


@pytest.mark.parametrize("home", ["/tmp", "/nowhere", "/"])
def test_any_whole_path_is_a_home(home, without_entry, monkeypatch):
    monkeypatch.setenv("HOME", home)
    require_home()


COMMANDS = {
    "run": ["-m", "kd_bench", "run", "method=student", "epochs=1"],
    "dry run": ["-m", "kd_bench", "run", "--dry-run"],
    "tune": ["-m", "kd_bench", "tune", "--methods", "student,at", "--trials", "2"],
    "export": ["-m", "kd_bench", "export", "nowhere"],
    "Python": ["-c", "import kd_bench; kd_bench.run()"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_makes_a_folder_named_as_the_sign(command, tmp_path):
    variables = os.environ | {"HOME": "no-whole-path", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *COMMANDS[command]], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    *_, last = done.stderr.splitlines()
    assert "HOME=no-whole-path: must be the whole path of a folder" in last
    assert done.returncode == (1 if command == "Python" else 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["photos (2)", "-dash", "ha#sh", "x" * 300, "日本 1", "a/b", "~", "\udce9", "a\nb"])
def test_the_nearest_name_is_a_name(text):
    name = FolderName.nearest(text)
    assert name in FolderName()
    assert len(name) == min(len(text), FolderName.longest)
    assert FolderName.nearest(name) == name
