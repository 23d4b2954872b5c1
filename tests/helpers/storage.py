"""Small file systems, and how a command that cannot go on must end."""

import contextlib
import os
import subprocess

import pytest


@contextlib.contextmanager
def mounted(folder, options):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root's rights")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def assert_one_paragraph(done):
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and len(errors[0]) < 600, done.stderr
