"""What was asked for: the config of a run, composed, checked and identified. Nothing here imports TensorFlow."""

TEACHER_METHOD = "teacher"
"""The method whose runs train teachers; other runs ask for them by this name."""
