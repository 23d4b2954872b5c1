"""Starts runs: checks, one process per run, signals. Only `preload` imports TensorFlow."""
