"""Runs every benchmark, each in its own process: python -m benchmarks."""

import itertools
import os
import subprocess
import sys

from benchmarks import PAIR_NAMES

PROGRAMS = [
    *itertools.product(("step", "other_choice", "pipeline"), PAIR_NAMES),
    ("sweep",),
    ("table",),
    ("memory",),
]


def main() -> int:
    """Returns 1 if a benchmark could not run, else 0. Its table shows whether a bound is missed."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *pair], env=environment, check=False).returncode
        for name, *pair in PROGRAMS
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
