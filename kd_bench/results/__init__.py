"""What a run leaves behind, and the tables derived from it. Nothing here imports TensorFlow."""
