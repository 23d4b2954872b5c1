"""Results of runs: a data frame, tables, statistics and pictures. Nothing here imports TensorFlow."""

from kd_bench.results.frame import load_curves, load_runs
from kd_bench.results.table import load_tables

__all__ = ["load_curves", "load_runs", "load_tables"]
