"""Which Python and which lock `make` takes, by dry runs in a folder of programs that pretend to be Pythons, or uv."""

import os
import re
import subprocess
import tomllib

import pytest
from helpers.command import ROOT


def install(programs, folder, *arguments, target="install"):
    """Returns the output of a dry run. Programs: name -> the status with which it answers whether it fits."""
    for name, status in programs.items():
        (folder / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (folder / name).chmod(0o755)
    command = ["/usr/bin/make", "--dry-run", "--always-make", "--file", ROOT / "Makefile", target, *arguments]
    # Without the variables of the `make test` that may have started this test, which change what make prints.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    env |= {"PATH": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("programs", "line"),
    [
        ({"python3.11": 0, "python3.13": 0}, "python3.11 -m venv .venv\n"),
        ({"python3.11": 127, "python3.12": 1, "python3.13": 0, "python3": 0}, "python3.13 -m venv .venv\n"),
        ({"python3": 0}, "python3 -m venv .venv\n"),
        ({"python3.12": 0, "uv": 0}, "uv venv --quiet --allow-existing --seed --python 'python3.12' .venv\n"),
        ({"python3": 1, "uv": 0}, "uv venv --quiet --allow-existing --seed --python '>=3.11,<3.14' .venv\n"),
    ],
)
def test_the_first_python_that_fits_is_taken(programs, line, tmp_path):
    assert install(programs, tmp_path).startswith(line)


def test_a_python_can_be_named(tmp_path):
    assert install({"python3.11": 0, "mine": 0}, tmp_path, "PYTHON=mine").startswith("mine -m venv .venv\n")


@pytest.mark.parametrize(
    ("programs", "pip"),
    [({"python3": 0}, ".venv/bin/pip install"), ({"uv": 0}, "uv pip install --python .venv --compile-bytecode")],
)
@pytest.mark.parametrize(
    ("target", "locks"),
    [
        ("demo", ["requirements.txt"]),
        ("table", ["requirements.txt"]),
        ("install", ["requirements.txt", "requirements-dev.txt"]),
        ("test", ["requirements.txt", "requirements-dev.txt"]),
        ("lint", ["requirements.txt", "requirements-dev.txt"]),
        ("docs", ["requirements.txt", "requirements-dev.txt"]),
    ],
)
def test_the_demo_installs_the_core_only(programs, pip, target, locks, tmp_path):
    lines = install(programs, tmp_path, target=target).splitlines()
    installing = [line for line in lines if " install " in line]
    assert installing == [f"{pip} --quiet --require-hashes --requirement {lock}" for lock in locks]


def pins(name):
    """Returns the packages of a lock with their versions."""
    return set(re.findall(r"^([\w.-]+)==([^ ;]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_the_core_lock_is_a_part_of_the_development_lock():
    core, development = pins("requirements.txt"), pins("requirements-dev.txt")
    assert core < development
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    required = {re.match(r"[\w-]+", text)[0].replace("_", "-").lower() for text in dependencies}
    assert required <= {name for name, _ in core}
    assert not {"jupyter-client", "mkdocs", "pytest", "optuna"} & {name for name, _ in core}


@pytest.mark.parametrize("programs", [{}, {"python3": 1}])
def test_what_is_missing_is_said_in_one_line(programs, tmp_path):
    (line,) = install(programs, tmp_path).splitlines()
    assert "Python 3.11, 3.12 or 3.13 with venv (Debian: python3-venv) is missing" in line
