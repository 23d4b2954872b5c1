"""What happens at the end of an epoch: the test set, the metrics file, a line for who is watching."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
from tqdm import tqdm

from kd_bench.distillers.base import Stage
from kd_bench.errors import BenchError
from kd_bench.training.evaluation import Evaluator


class NonFiniteLossError(BenchError):
    """A loss became NaN or infinite."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends the run at the end of an epoch whose mean loss is not a number."""

    def __init__(self, stage: Stage, steps_per_epoch: int) -> None:
        super().__init__()
        self._stage = stage
        self._steps = steps_per_epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Raises `NonFiniteLossError`, naming the stage, the steps and the terms."""
        terms = [name for name in self._stage.losses if not math.isfinite(float((logs or {})[name]))]
        if terms:
            raise NonFiniteLossError(
                f"stage {self._stage.name}, steps {epoch * self._steps} to {(epoch + 1) * self._steps}: the loss "
                f"{' and '.join(terms)} is not finite. Try a smaller optimizer.learning_rate or weight of the term."
            )


class EpochLog(keras.callbacks.Callback):
    """Evaluates the student, in the main stage, and writes one line of facts an epoch."""

    def __init__(
        self, stage: Stage, steps_per_epoch: int, evaluator: Evaluator, every: int, write: Callable[[dict], None]
    ) -> None:
        """Evaluates `every` so many epochs and after the last; `write` takes a line."""
        super().__init__()
        self._stage = stage
        self._steps = steps_per_epoch
        self._evaluator = evaluator
        self._every = every
        self._write = write

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes stage, epoch, step, learning rate, seconds, losses and, where it was measured, test accuracy."""
        logs = {} if logs is None else logs
        facts = {
            "stage": self._stage.name,
            "epoch": epoch + 1,
            "step": (epoch + 1) * self._steps,
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": round(time.perf_counter() - self._started, 3),
            **{name: float(value) for name, value in logs.items()},
        }
        last = epoch + 1 == self.params["epochs"]
        if self._stage.is_main and (last or (epoch + 1) % self._every == 0):
            facts["test_accuracy"] = logs["test_accuracy"] = self._evaluator.accuracy()
        self._write(facts)


class Progress(keras.callbacks.Callback):
    """One bar a stage, in a terminal; nothing in a file, where the run's last line says it all."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Opens the bar."""
        self._bar = tqdm(total=self.params["epochs"], desc=self._title, unit="epoch", leave=False, disable=None)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Moves the bar."""
        shown = {name: f"{float(value):.3f}" for name, value in (logs or {}).items()}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Takes the bar away."""
        self._bar.close()
