"""A user's own callbacks, and what callbacks wrote."""

import os
import signal
from pathlib import Path

import keras
import tensorflow as tf


class Diary(keras.callbacks.Callback):
    """Writes a line for each hook of an epoch. In one epoch it kills the run, once, and in another it fails, once."""

    def __init__(self, path, kill_in=None, fail_in=None):
        super().__init__()
        self.path = Path(path)
        self.kill_in = kill_in
        self.fail_in = fail_in

    def _note(self, text):
        with self.path.open("a") as stream:
            stream.write(f"{text}\n")

    def on_train_begin(self, logs=None):
        self._note("begin")

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.kill_in and "kill" not in self.path.read_text():
            self._note("kill")
            os.kill(os.getpid(), signal.SIGKILL)
        if epoch == self.fail_in and "fail" not in self.path.read_text():
            self._note("fail")
            raise OSError("the disk is gone")

    def on_train_batch_end(self, batch, logs=None):
        assert "loss" in logs

    def on_epoch_end(self, epoch, logs=None):
        self._note(f"{epoch} stage {logs['stage']}")

    def on_train_end(self, logs=None):
        self._note("end")


class Signal(keras.callbacks.Callback):
    """Sends a signal to its own process."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def on_train_begin(self, logs=None):
        os.kill(os.getpid(), self.number)


def scalars(folder):
    """Returns each scalar of TensorBoard's event files: name -> [(step, value)] in the order of writing."""
    found = {}
    for path in sorted(folder.rglob("events.out.tfevents*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, float(tf.make_ndarray(value.tensor))))
    return found
