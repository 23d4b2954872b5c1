"""Trains a distiller, stage after stage, through Keras's own `fit`. Knows no method's name."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from kd_bench.distillers.base import Distiller, Stage
from kd_bench.runs.checkpoints import Checkpoint


@dataclass(frozen=True)
class Plan:
    """How long a run trains.

    Attributes:
        epochs: of the main stage. Another stage has its share of them, but at least one epoch and its `min_steps`.
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
        return max(1, round(stage.share * self.epochs), math.ceil(stage.min_steps / self.steps_per_epoch))

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
    """Runs all stages, or what is left of them.

    Args:
        distiller: built under its strategy.
        plan: lengths.
        make_optimizer: from the steps of a stage with a stepped learning rate, or None for a constant one, and the
            factor of the rate.
        make_batches: from a stage, its step to begin with and the one to end before, batches of images and labels.
        make_callbacks: of a stage.
        checkpoint: where to go on.

    Returns:
        The steps of each stage by its name.

    Raises:
        DamageError: the checkpoint is of another network or method.
    """
    stages = distiller.stages()
    names = [stage.name for stage in stages]
    for stage in stages[names.index(checkpoint.position.stage) if checkpoint else 0 :]:
        here = checkpoint if checkpoint and checkpoint.position.stage == stage.name else None
        first = here.position.step if here else 0
        _begin(distiller, stage, plan, make_optimizer, first)
        if here:
            here.restore(distiller.state)
        callbacks = list(make_callbacks(stage))
        for begin, end, steps in _parts(first, plan.steps_of(stage), plan.steps_per_epoch):
            distiller.fit(
                make_batches(stage, begin, end),
                initial_epoch=begin // plan.steps_per_epoch,
                epochs=end // plan.steps_per_epoch,
                steps_per_epoch=steps,
                callbacks=[*_means(distiller, here if begin % plan.steps_per_epoch else None), *callbacks],
                shuffle=False,
                verbose=0,
            )
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
        distiller.begin(stage, optimizer, plan.epochs_of(stage), plan.steps_per_epoch, **options)


def _parts(first: int, total: int, steps_per_epoch: int) -> Iterator[tuple[int, int, int]]:
    """Yields begin, end and steps per epoch: the rest of an epoch that was broken off, then the whole ones."""
    if done := first % steps_per_epoch:
        left = steps_per_epoch - done
        yield first, first + left, left
        first += left
    if first < total:
        yield first, total, steps_per_epoch


def _means(distiller: Distiller, checkpoint: Checkpoint | None) -> list[keras.callbacks.Callback]:
    """Restores the running means of an epoch that was broken off, after `fit` has set them to zero."""
    if checkpoint is None:
        return []
    return [keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: checkpoint.restore(distiller.state))]


def _steps_per_call(plan: Plan, first_step: int) -> int:
    """Several steps a call save Python's time; a call must end where the epoch does, also one that was broken off."""
    common = math.gcd(plan.steps_per_epoch, first_step % plan.steps_per_epoch)
    return max(n for n in range(1, plan.steps_per_call + 1) if common % n == 0)
