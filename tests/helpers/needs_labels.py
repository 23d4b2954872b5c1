"""A method that needs the label of each image."""

from kd_bench.distillers.base import Distiller


class NeedsLabels(Distiller):
    """A plain student that says so."""

    teacher_init = None
    supports_mixed_images = False
