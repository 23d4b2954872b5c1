"""Prints the results table of all runs: python aggregate.py [--outputs outputs docs/data/digits.jsonl.gz ...]."""

import sys

from kd_bench.results.command import main

if __name__ == "__main__":
    sys.exit(main())
