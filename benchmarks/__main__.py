"""Runs every benchmark, each in a process of its own: python -m benchmarks."""

import os
import subprocess
import sys

PROGRAMS = ("step", "other_choice", "limit", "pipeline", "sweep", "table", "memory")


def main() -> int:
    """Returns 1 if a benchmark could not run; a bound that is missed is in its table."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{program}"], env=environment, check=False).returncode
        for program in PROGRAMS
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
