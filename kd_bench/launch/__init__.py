"""How runs are started: checks, a process per run, signals. Only `preload` imports TensorFlow."""
