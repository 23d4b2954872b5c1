"""Runs every benchmark, each in a process of its own: python -m benchmarks."""

import itertools
import os
import subprocess
import sys

from benchmarks import PAIR_NAMES

PROGRAMS = [
    *itertools.product(("step", "other_choice", "limit", "pipeline"), PAIR_NAMES),
    ("sweep",),
    ("table",),
    ("memory",),
]


def main() -> int:
    """Returns 1 if a benchmark could not run; a bound that is missed is in its table."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *pair], env=environment, check=False).returncode
        for name, *pair in PROGRAMS
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
