"""Keras's own table of epochs, made for runs of several stages."""

from collections.abc import Mapping
from typing import Any

import keras


class CSVLogger(keras.callbacks.CSVLogger):
    """Has a column for each value of any stage. Keras takes the values of the first epoch alone."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Adds the row of the epoch; a value that the epoch does not have is NA."""
        self.keys = self.params["metrics"]
        super().on_epoch_end(epoch, logs)
