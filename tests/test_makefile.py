"""Which Python `make install` takes, by a dry run in a folder of programs that pretend to be Pythons, or uv."""

import os
import subprocess

import pytest
from helpers.command import ROOT


def install(programs, folder, *arguments):
    """Returns the output of a dry run. Programs: name -> the status with which it answers whether it fits."""
    for name, status in programs.items():
        (folder / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (folder / name).chmod(0o755)
    command = ["/usr/bin/make", "--dry-run", "--always-make", "--file", ROOT / "Makefile", "install", *arguments]
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


@pytest.mark.parametrize("programs", [{}, {"python3": 1}])
def test_what_is_missing_is_said_in_one_line(programs, tmp_path):
    (line,) = install(programs, tmp_path).splitlines()
    assert "Python 3.11, 3.12 or 3.13 with venv (Debian: python3-venv) is missing" in line
