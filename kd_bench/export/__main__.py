"""Exports the networks of runs: python -m kd_bench.export RUN --formats saved_model litert onnx."""

import sys

from kd_bench.export.command import main

if __name__ == "__main__":
    sys.exit(main())
