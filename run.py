"""Runs one run, or with -m a sweep: python run.py -m method=fitnet,at,fsp fraction=1.0,0.5,0.25,0.1."""

import sys

from kd_bench.launch.run import main

if __name__ == "__main__":
    sys.exit(main())
