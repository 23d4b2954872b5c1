"""Tunes methods by equally many trials, then tests the best of each: tune.py --methods student,at fraction=0.1."""

import sys

from kd_bench.launch.tune import main

if __name__ == "__main__":
    sys.exit(main())
