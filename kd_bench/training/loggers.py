"""Keras's own loggers, made for runs of several stages that may be killed."""

from collections.abc import Mapping
from typing import Any

import keras


class TensorBoard(keras.callbacks.TensorBoard):
    """Writes each epoch to the disk when it ends. Keras keeps up to two minutes in memory, which a kill would lose."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Writes the values of the epoch."""
        super().on_epoch_end(epoch, logs)
        for writer in self._writers.values():
            writer.flush()


class CSVLogger(keras.callbacks.CSVLogger):
    """Has a column for each value of any stage. Keras takes the values of the first epoch only."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Adds the row of the epoch; a value that the epoch does not have is NA."""
        self.keys = self.params["metrics"]
        super().on_epoch_end(epoch, logs)
