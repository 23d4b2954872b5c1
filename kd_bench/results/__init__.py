"""What is derived from runs: tables, statistics, pictures. Nothing here imports TensorFlow."""
