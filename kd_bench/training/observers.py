"""Shows a run to the callbacks of its config: as one training, whatever its stages, calls of `fit` and resumptions."""

import contextlib
import json
import shutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kd_bench.checks import NonNegativeInt, check
from kd_bench.config.schema import Observer, RunConfig
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.documents import read_json
from kd_bench.errors import BenchError, DamageError
from kd_bench.runs.files import read_file, storing, write_atomically
from kd_bench.runs.folder import RunFolder
from kd_bench.training.loop import Plan
from kd_bench.training.optimizers import learning_rate_of
from kd_bench.training.trackers import LoggedRun


class CallbackError(BenchError):
    """A callback of the config failed, or tried to change the run."""


class Observers:
    """The callbacks of a run's config.

    Each sees every epoch once: after a kill, those between the last checkpoint and the kill are trained, but not shown,
    again.
    """

    def __init__(
        self, callbacks: Mapping[str, keras.callbacks.Callback], stages: Mapping[str, int], seen: Path
    ) -> None:
        """Takes what a run has.

        Args:
            callbacks: by name.
            stages: name -> length in epochs, in their order.
            seen: the file with the number of epochs that each callback has seen.

        Raises:
            DamageError: this file is damaged.
        """
        self._callbacks = callbacks
        self._stages = stages
        self._path = seen
        self._seen = _read(seen)
        self._model: Distiller | None = None

    def stage_callbacks(self, stage: Stage) -> list[keras.callbacks.Callback]:
        """Returns what shows a stage to the callbacks."""
        names = list(self._stages)
        number = names.index(stage.name)
        first_epoch = sum(self._stages[name] for name in names[:number])
        return [_StageCallback(self, number + 1, first_epoch)] if self._callbacks else []

    def begin(self, model: Distiller) -> None:
        """Begins the training, at the first call."""
        if self._model is not None:
            return
        self._model = model
        params = {"epochs": sum(self._stages.values()), "steps": None, "verbose": 0, "metrics": _logged_names(model)}
        for name in self._callbacks:
            self._call(name, "set_params", params)
            self._call(name, "set_model", model)
            self._call(name, "on_train_begin")

    def show(self, hook: str, epoch: int, *arguments: Any) -> None:
        """Calls a hook of all callbacks that have not seen this epoch."""
        for name in self._callbacks:
            if epoch >= self._seen.get(name, 0):
                self._call(name, hook, *arguments)

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Shows the end of an epoch, and remembers that it was seen."""
        self.show("on_epoch_end", epoch, epoch, logs)
        self._seen = {name: max(epoch + 1, self._seen.get(name, 0)) for name in self._callbacks}
        with storing(self._path):
            self._path.parent.mkdir(exist_ok=True)
        write_atomically(self._path, json.dumps(self._seen))

    def end(self) -> None:
        """Ends the training, if it began; a run that is interrupted also ends here."""
        for name in self._callbacks if self._model is not None else ():
            self._call(name, "on_train_end")

    def _call(self, name: str, hook: str, *arguments: Any) -> None:
        with _naming_callback(name):
            getattr(self._callbacks[name], hook)(*arguments)
        if self._model is not None and self._model.stop_training:
            raise CallbackError(f"callbacks.{name}: it stops the training. A callback must not change the result.")


class _StageCallback(keras.callbacks.Callback):
    """Shows a stage, with its epochs counted from the beginning of the run."""

    def __init__(self, observers: Observers, number: int, first_epoch: int) -> None:
        super().__init__()
        self._observers = observers
        self._number = number
        self._first_epoch = first_epoch

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._observers.begin(self.model)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = self._first_epoch + epoch
        self._observers.show("on_epoch_begin", self._epoch, self._epoch, {})

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._observers.show("on_train_batch_begin", self._epoch, batch, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._observers.show("on_train_batch_end", self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        rate = learning_rate_of(self.model.optimizer)
        self._observers.end_epoch(self._epoch, {"stage": self._number, "learning_rate": rate, **values})


@contextlib.contextmanager
def observing(
    config: RunConfig, folder: RunFolder, plan: Plan, stages: Sequence[Stage], resumed: bool
) -> Iterator[Observers]:
    """Opens the callbacks of a config, and closes them when the body ends, however it ends.

    Args:
        config: the config of the run.
        folder: the run's folder.
        plan: the lengths of the stages.
        stages: of its distiller.
        resumed: whether the run goes on from a checkpoint. If it starts, what earlier attempts logged is deleted.

    Raises:
        CallbackError: a callback cannot be made.
        DamageError: the file with the epochs that the callbacks have seen is damaged.
    """
    if not resumed and folder.logs.exists():
        with storing(folder.logs):
            shutil.rmtree(folder.logs)
    run = LoggedRun(config.title, config.digest, config.facts(), folder.logs, resumed)
    with contextlib.ExitStack() as stack:
        callbacks = {name: _open_callback(name, observer, run, stack) for name, observer in config.callbacks.items()}
        observers = Observers(callbacks, {stage.name: plan.epochs_of(stage) for stage in stages}, folder.logged_epochs)
        stack.callback(observers.end)
        yield observers


def _read(path: Path) -> dict[str, int]:
    """Returns how many epochs each callback has seen; empty without a file."""
    try:
        seen = read_json(read_file(path)) if path.exists() else {}
        return check("epochs", seen, dict[str, NonNegativeInt])
    except ValueError as problem:
        raise DamageError(
            f"{path}: is damaged: {problem}. Delete it, then run the same command again: the run goes on, and its "
            "callbacks may see some epochs twice."
        ) from problem


def _open_callback(
    name: str, observer: Observer, run: LoggedRun, stack: contextlib.ExitStack
) -> keras.callbacks.Callback:
    """Opens a callback's tracker, if it has one, and makes the callback."""
    with storing(run.logs):
        run.logs.mkdir(exist_ok=True)
    with _naming_callback(name):
        if observer.tracker is not None:
            stack.enter_context(observer.tracker.build(run))
        callback = observer.load()(**{key: _filled(value, run) for key, value in observer.parameters.items()})
    if not isinstance(callback, keras.callbacks.Callback):
        raise CallbackError(f"callbacks.{name}: {observer.target} is not a Keras callback.")
    return callback


def _filled(value: Any, run: LoggedRun) -> Any:
    """Returns a parameter, in a text with the values of {logs}, {title} and {digest}."""
    if isinstance(value, str):
        for name in ("logs", "title", "digest"):
            value = value.replace(f"{{{name}}}", str(getattr(run, name)))
    return value


@contextlib.contextmanager
def _naming_callback(name: str) -> Iterator[None]:
    """Replaces an error of the body by one that names the callback, after its traceback."""
    try:
        yield
    except Exception as problem:
        traceback.print_exception(problem)
        raise CallbackError(f"callbacks.{name}: {type(problem).__name__}: {problem}") from problem


def _logged_names(model: Distiller) -> list[str]:
    """Returns the names of all values that any stage logs."""
    terms = [name for stage in model.stages() for name in stage.losses]
    own_metrics = [metric.name for metric in model.own_metrics]
    return list(dict.fromkeys(["stage", "learning_rate", "loss", *terms, *own_metrics, "test_accuracy"]))
