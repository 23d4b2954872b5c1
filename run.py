"""Runs one run, or with -m a sweep: python run.py -m method=fitnet,at,fsp fraction=1.0,0.5,0.25,0.1.

The command is in `kd_bench/launch/run.py`. It gives each run a process, in which `kd_bench/execution.py` does it from
start to finish; `kd_bench/training/loop.py` trains its stages, by `train_step` of `kd_bench/distillers/base.py`.
"""

import sys

from kd_bench.launch.run import main

if __name__ == "__main__":
    sys.exit(main())
