"""Results of runs: a data frame, tables, statistics and pictures. Nothing here imports TensorFlow."""

from kd_bench.results.frame import load_curves, load_runs

__all__ = ["load_curves", "load_runs"]
