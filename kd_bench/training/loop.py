"""Trains a distiller, stage after stage, with Keras's `fit`. It works for every method."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from kd_bench.distillers.base import Distiller, Stage
from kd_bench.runs.checkpoints import Checkpoint
from kd_bench.training.averaging import AveragedWeights, keep_averages


@dataclass(frozen=True)
class Plan:
    """How long a run trains.

    Attributes:
        epochs: epochs of the main stage. Another stage has its share of them, but at least one epoch and `min_steps`.
        steps_per_epoch: the same in every epoch of every stage.
        steps_per_call: upper bound for Keras's `steps_per_execution`; checkpoints and signals are handled only between
            calls.
        jit_compile: whether XLA compiles the step.
    """

    epochs: int
    steps_per_epoch: int
    steps_per_call: int
    jit_compile: bool

    def epochs_of(self, stage: Stage) -> int:
        """Returns the stage's length in epochs."""
        return max(self._share_of(stage), math.ceil(stage.min_steps / self.steps_per_epoch))

    def is_lengthened(self, stage: Stage) -> bool:
        """Returns whether the stage is longer than its share, because of its `min_steps`."""
        return self.epochs_of(stage) > self._share_of(stage)

    def _share_of(self, stage: Stage) -> int:
        return max(1, round(stage.share * self.epochs))

    def steps_of(self, stage: Stage) -> int:
        """Returns the stage's length in steps."""
        return self.epochs_of(stage) * self.steps_per_epoch


def train(
    distiller: Distiller,
    plan: Plan,
    make_optimizer: Callable[[int | None, float], keras.Optimizer],
    make_batches: Callable[[Stage, int, int], tf.data.Dataset],
    make_callbacks: Callable[[Stage], Sequence[keras.callbacks.Callback]],
    checkpoint: Checkpoint | None = None,
) -> dict[str, int]:
    """Runs all stages, or the rest of them after a checkpoint.

    Args:
        distiller: built under its strategy.
        plan: the lengths.
        make_optimizer: returns an optimizer. Its arguments are the steps of the stage (None for a constant learning
            rate) and the factor of the learning rate.
        make_batches: returns batches of images and labels. Its arguments are the stage, the first step, and the step
            after the last one.
        make_callbacks: returns the callbacks of a stage.
        checkpoint: where to resume.

    Returns:
        Stage name -> number of steps.

    Raises:
        DamageError: the checkpoint belongs to another network or method.
    """
    stages = distiller.stages()
    names = [stage.name for stage in stages]
    for stage in stages[names.index(checkpoint.position.stage) if checkpoint else 0 :]:
        resumed = checkpoint if checkpoint and checkpoint.position.stage == stage.name else None
        first_step = resumed.position.step if resumed else 0
        _begin(distiller, stage, plan, make_optimizer, first_step)
        if resumed:
            resumed.restore(distiller.state)
        callbacks = list(make_callbacks(stage))
        for begin, end, steps in _fit_calls(first_step, plan.steps_of(stage), plan.steps_per_epoch):
            distiller.fit(
                make_batches(stage, begin, end),
                initial_epoch=begin // plan.steps_per_epoch,
                epochs=end // plan.steps_per_epoch,
                steps_per_epoch=steps,
                callbacks=[*_restore_means(distiller, resumed if begin % plan.steps_per_epoch else None), *callbacks],
                shuffle=False,
                verbose=0,
            )
    keep_averages(distiller)
    return {stage.name: plan.steps_of(stage) for stage in stages}


def _begin(
    distiller: Distiller,
    stage: Stage,
    plan: Plan,
    make_optimizer: Callable[[int | None, float], keras.Optimizer],
    first_step: int,
) -> None:
    steps = plan.steps_of(stage) if stage.learning_rate == "stepped" else None
    options = {"jit_compile": plan.jit_compile, "steps_per_execution": _steps_per_call(plan, first_step)}
    with distiller.distribute_strategy.scope():
        optimizer = make_optimizer(steps, stage.learning_rate_scale)
        if not stage.is_main and isinstance(optimizer, AveragedWeights):
            optimizer.average_momentum = 0.0  # only the main stage ends with the student
        distiller.begin(stage, optimizer, plan.epochs_of(stage), plan.steps_per_epoch, **options)


def _fit_calls(first_step: int, total: int, steps_per_epoch: int) -> Iterator[tuple[int, int, int]]:
    """Yields begin, end and steps per epoch: first the rest of an interrupted epoch, then the whole epochs."""
    if done := first_step % steps_per_epoch:
        left = steps_per_epoch - done
        yield first_step, first_step + left, left
        first_step += left
    if first_step < total:
        yield first_step, total, steps_per_epoch


def _restore_means(distiller: Distiller, checkpoint: Checkpoint | None) -> list[keras.callbacks.Callback]:
    """Returns a callback that restores the running means of an interrupted epoch, after `fit` has set them to zero."""
    if checkpoint is None:
        return []
    return [keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: checkpoint.restore(distiller.state))]


def _steps_per_call(plan: Plan, first_step: int) -> int:
    """Returns the steps per call: more steps save Python's time, but a call must end where an epoch ends or resumes."""
    common = math.gcd(plan.steps_per_epoch, first_step % plan.steps_per_epoch)
    return max(n for n in range(1, plan.steps_per_call + 1) if common % n == 0)
