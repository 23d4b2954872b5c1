"""Everything that a run writes, and how it is written. Only `attempt` and `checkpoints` import TensorFlow."""
