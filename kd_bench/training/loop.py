"""Trains a distiller, stage after stage, through Keras's own `fit`. Knows no method's name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kd_bench.distillers.base import Distiller, Stage

_MOST_STEPS_PER_EXECUTION = 32


@dataclass(frozen=True)
class Plan:
    """How long a run trains.

    Attributes:
        epochs: of the main stage; another stage has its share of them, at least one.
        steps_per_epoch: the same in every epoch of every stage.
        jit_compile: whether XLA compiles the step.
    """

    epochs: int
    steps_per_epoch: int
    jit_compile: bool

    def epochs_of(self, stage: Stage) -> int:
        """Returns the stage's length in epochs."""
        return max(1, round(stage.share * self.epochs))

    def steps_of(self, stage: Stage) -> int:
        """Returns the stage's length in steps."""
        return self.epochs_of(stage) * self.steps_per_epoch


def train(
    distiller: Distiller,
    plan: Plan,
    make_optimizer: Callable[[int | None, float], keras.Optimizer],
    make_batches: Callable[[Stage, int], tf.data.Dataset],
    make_callbacks: Callable[[Stage], Sequence[keras.callbacks.Callback]],
) -> dict[str, int]:
    """Runs all stages.

    Args:
        distiller: built under its strategy.
        plan: lengths.
        make_optimizer: from the steps of a stage with a stepped learning rate, or None for a constant one, and the
            factor of the rate.
        make_batches: from a stage and its number of steps, batches of images and labels.
        make_callbacks: of a stage.

    Returns:
        The steps of each stage by its name.
    """
    done = {}
    for stage in distiller.stages():
        steps = plan.steps_of(stage)
        with distiller.distribute_strategy.scope():
            optimizer = make_optimizer(steps if stage.learning_rate == "stepped" else None, stage.rate_factor)
            distiller.begin(stage, optimizer, plan.epochs_of(stage), plan.steps_per_epoch, **_options(plan))
        distiller.fit(
            make_batches(stage, steps),
            epochs=plan.epochs_of(stage),
            steps_per_epoch=plan.steps_per_epoch,
            callbacks=list(make_callbacks(stage)),
            shuffle=False,
            verbose=0,
        )
        done[stage.name] = steps
    return done


def _options(plan: Plan) -> dict[str, Any]:
    """Several steps a call save Python's time; the call must end where the epoch does."""
    divisors = [n for n in range(1, _MOST_STEPS_PER_EXECUTION + 1) if plan.steps_per_epoch % n == 0]
    return {"jit_compile": plan.jit_compile, "steps_per_execution": max(divisors)}
