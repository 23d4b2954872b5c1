"""How runs are started: checks, a process per run, signals. Nothing here but `preload` imports TensorFlow."""
