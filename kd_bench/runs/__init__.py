"""All that a run writes: its record, its metrics, and how they get on disk. Nothing here imports TensorFlow."""
