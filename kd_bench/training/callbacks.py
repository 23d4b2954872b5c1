"""Keras callbacks between steps: evaluation, metrics, checkpoints, progress."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
from tqdm import tqdm

from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import BenchError
from kd_bench.training.averaging import averaged
from kd_bench.training.evaluation import Evaluator
from kd_bench.training.interruption import Interruption
from kd_bench.training.loop import Plan
from kd_bench.training.optimizers import learning_rate_of


class NonFiniteLossError(BenchError):
    """A loss became NaN or infinite."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends the run at the end of an epoch, or before a checkpoint, if a loss was NaN or infinite."""

    def __init__(self, stage: Stage, steps_per_epoch: int) -> None:
        super().__init__()
        self._stage = stage
        self._steps = steps_per_epoch

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Stores the step at which the epoch begins."""
        self._begin = epoch * self._steps

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Raises `NonFiniteLossError` as `check` does."""
        self.check()

    def check(self) -> None:
        """Raises `NonFiniteLossError`, with stage, step and terms, if a loss of this epoch was NaN or infinite."""
        replicas = self.model.distribute_strategy.num_replicas_in_sync
        non_finite = self.model.finite_steps.first_non_finite(replicas)
        if non_finite is not None:
            done, terms = non_finite
            raise NonFiniteLossError(
                f"stage {self._stage.name}, step {self._begin + done + 1}: the loss {' and '.join(terms)} is not "
                "finite. Try a smaller optimizer.learning_rate or weight of the term."
            )


class Checkpointing(keras.callbacks.Callback):
    """Saves the run after a number of steps, or after each epoch, and when the process is asked to stop."""

    def __init__(
        self,
        plan: Plan,
        stage: Stage,
        every: int | None,
        interruption: Interruption,
        check: Callable[[], None],
        save: Callable[[Distiller, int], None],
    ) -> None:
        """Saves every `every` steps, or after each epoch if it is None, and after the last step.

        Args:
            plan: the lengths of the run.
            stage: the current stage.
            every: a number of steps, or None.
            interruption: says whether the process was asked to stop.
            check: raises an error if the current state must not be saved.
            save: saves the run; its arguments are the distiller and the number of finished steps.
        """
        super().__init__()
        self._steps_per_epoch = plan.steps_per_epoch
        self._total = plan.steps_of(stage)
        self._every = every
        self._interruption = interruption
        self._check = check
        self._save = save
        self._saved: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Computes the stage's step at which this `fit` call began, because Keras counts batches from that step."""
        self._begin = (epoch + 1) * self._steps_per_epoch - self.params["steps"]
        self._saved = self._begin if self._saved is None else self._saved

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Saves if a checkpoint is due. At the end of an epoch `on_epoch_end` saves, after the evaluation."""
        # From now on there are unsaved steps.
        self._interruption.saving = True
        self._step = self._begin + batch + 1
        if self._step % self._steps_per_epoch:
            self._save_if_due()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Saves if a checkpoint is due."""
        self._save_if_due()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Lets a signal end the process at once: until the next step, nothing is unsaved."""
        self._interruption.saving = False

    def _save_if_due(self) -> None:
        if self._is_due() or self._interruption.requested:
            self._check()
            self._save(self.model, self._step)
            self._saved = self._step
        self._interruption.exit_if_requested()

    def _is_due(self) -> bool:
        if self._every is None or self._step == self._total:
            return self._step % self._steps_per_epoch == 0
        assert self._saved is not None, "an epoch has begun"
        # Save now if after the next call there would be more than `every` unsaved steps.
        return self._step + self.model.steps_per_execution - self._saved > self._every


class EpochLog(keras.callbacks.Callback):
    """Evaluates the student in the main stage, and writes one line of metrics per epoch."""

    def __init__(
        self, plan: Plan, stage: Stage, evaluator: Evaluator, every: int, write: Callable[[dict], None]
    ) -> None:
        """Evaluates every `every` epochs and after the last one; `write` appends a line to the metrics."""
        super().__init__()
        self._stage = stage
        self._steps = plan.steps_per_epoch
        self._epochs = plan.epochs_of(stage)
        self._evaluator = evaluator
        self._every = every
        self._write = write

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes stage, epoch, step, learning rate, cost, losses and, if it was measured, test accuracy.

        With `validation`, the test accuracy is measured on the held-out images.
        """
        logs = {} if logs is None else logs
        line = {
            "stage": self._stage.name,
            "epoch": epoch + 1,
            "epochs": self._epochs,
            "step": (epoch + 1) * self._steps,
            "learning_rate": learning_rate_of(self.model.optimizer),
            "seconds": round(time.perf_counter() - self._started, 3),
            "multiply_adds": self.model.step_multiply_adds,
            **{name: float(value) for name, value in logs.items()},
        }
        last = epoch + 1 == self._epochs
        if self._stage.is_main and (last or (epoch + 1) % self._every == 0):
            with averaged(self.model):
                line["test_accuracy"] = logs["test_accuracy"] = self._evaluator.accuracy()
        self._write(line)


class ProgressBar(keras.callbacks.Callback):
    """One progress bar per stage in a terminal; nothing in a file."""

    def __init__(self, title: str, epochs: int) -> None:
        super().__init__()
        self._title = title
        self._epochs = epochs
        self._bar: tqdm | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Opens the bar."""
        if self._bar is None:
            self._bar = tqdm(
                total=self._epochs, initial=epoch, desc=self._title, unit="epoch", leave=False, disable=None
            )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Moves the bar."""
        assert self._bar is not None, "an epoch has begun"
        shown = {name: f"{float(value):.3f}" for name, value in (logs or {}).items()}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
