"""One run from start to finish: lock, state, build, train, record."""

import traceback
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import yaml

from kd_bench.build import Parts, Teacher, build
from kd_bench.config import MAIN_STAGE
from kd_bench.config.schema import RunConfig
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import BenchError, ConfigError, DamageError, DataError, RunFailedError, StorageError
from kd_bench.messages import say, warn
from kd_bench.networks.complexity import multiply_adds
from kd_bench.runs import environment
from kd_bench.runs.attempt import Attempt
from kd_bench.runs.checkpoints import Checkpoints
from kd_bench.runs.files import sha256, storing, write_atomically
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.metrics import append_metrics, read_metrics
from kd_bench.runs.outcome import record_done, record_failure, scores, setting
from kd_bench.runs.record import Cost, Record, Scores, Setting, write_record
from kd_bench.training.callbacks import Checkpointing, EpochLog, Progress, StopOnNonFiniteLoss
from kd_bench.training.evaluation import Evaluator
from kd_bench.training.failures import Failure, failure
from kd_bench.training.interruption import Interruption
from kd_bench.training.loading import doubts
from kd_bench.training.loop import train
from kd_bench.training.observers import Observers, observing
from kd_bench.training.saving import save_network
from kd_bench.training.scores import accuracy, final_scores, scores_against_teacher


class TeacherError(BenchError):
    """A run cannot begin, because its teacher is missing."""


def run(config: RunConfig, interruption: Interruption | None = None, wait: bool = True) -> Record:
    """Does a run, from its last checkpoint if there is one. Returns the record at once if the run is already done.

    Args:
        config: the config of the run. If it needs a trained teacher, the run of the teacher must be done.
        interruption: says when to save and exit.
        wait: whether to wait for another process that does the same run.

    Raises:
        ConfigError, DataError: the config asks for something impossible; nothing of the run is left on disk.
        RunFailedError: the run was recorded as failed.
        StorageError: its folder cannot be written to.
        SchemaError: another version of this program wrote its record.
        filelock.Timeout: another process does the run, and `wait` is false.
    """
    folder = RunFolder(config.directory)
    folder.make()
    with locked(folder, wait) as waited:
        state = folder.state(config)
        if state.done is not None:
            return state.done
        # A process that waited does not repeat a failed run, but continues the run of a process that was killed.
        if waited and state.failure is not None and not state.resumable:
            raise RunFailedError(f"{config.title} failed: {state.failure}")
        for damage in state.damage:
            warn(f"{damage}; the run is done again.")
        record = _attempted(config, folder, interruption or Interruption(), state.failure)
    for warning in record.warnings:
        warn(f"warning: {config.title}: {warning}")
    say(f"{config.title}: {record.scores.last_accuracy:.2%} in {record.cost.seconds:.1f} s")
    return record


def _attempted(config: RunConfig, folder: RunFolder, interruption: Interruption, earlier: str | None) -> Record:
    """Does the run and records its result or its failure; `earlier` is the reason of its previous failure."""
    checkpoints = Checkpoints(folder.checkpoints)
    try:
        record = _trained(config, folder, interruption)
        write_record(folder.record, record)
    except (ConfigError, DataError):
        folder.leave_nothing(Path(config.outputs))
        raise
    except Exception as problem:  # noqa: BLE001 - recorded, and raised again as a failed run
        failed = failure(problem, checkpoints.reached(), earlier)
        if failed.is_bug:
            traceback.print_exception(problem)
        _record_failure(config, folder, failed)
        raise RunFailedError(f"{config.title} failed: {failed.message}") from None
    checkpoints.delete()
    return record


def _record_failure(config: RunConfig, folder: RunFolder, failed: Failure) -> None:
    try:
        if failed.starts_over:
            Checkpoints(folder.checkpoints).delete()
        write_record(folder.record, record_failure(config, failed.reason))
    except StorageError as another:
        warn(f"error: the failure could not be recorded: {another}")


def _trained(config: RunConfig, folder: RunFolder, interruption: Interruption) -> Record:
    """Builds what the run needs, trains it, saves it, and returns its record."""
    teacher = _teacher(config)
    parts = build(config, teacher)
    attempt = _begin(config, folder, parts, teacher)
    evaluator = parts.evaluator(parts.distiller.deployed)
    attempt.begin_training()
    if config.evaluated:
        steps = _evaluate(folder, evaluator, attempt)
    else:
        steps = _train(parts, folder, evaluator, attempt, interruption)
    attempt.end_training()
    _save_network(parts, folder)
    folder.save_predictions(evaluator.latest().argmax(axis=1))
    return record_done(
        config,
        scores=_scores(parts, folder, evaluator, teacher),
        cost=_cost(parts, attempt, steps),
        setting=_setting(parts, attempt),
        warnings=_warnings(parts, evaluator),
        files=folder.checksums(),
    )


def _train(
    parts: Parts, folder: RunFolder, evaluator: Evaluator, attempt: Attempt, interruption: Interruption
) -> dict[str, int]:
    """Trains the student while the callbacks of the config observe it. Returns the steps of each stage."""
    config, distiller, resumed = parts.config, parts.distiller, attempt.checkpoint is not None
    with observing(config, folder, parts.plan, distiller.stages(), resumed) as observers:
        callbacks = partial(_callbacks, parts, folder, evaluator, attempt, interruption, observers)
        return train(distiller, parts.plan, config.optimizer.build, parts.batches, callbacks, attempt.checkpoint)


def _evaluate(folder: RunFolder, evaluator: Evaluator, attempt: Attempt) -> dict[str, int]:
    """Evaluates a teacher that is not trained, and writes the one line of its metrics. Returns its steps: none."""
    line = {"stage": MAIN_STAGE, "epoch": 0, "epochs": 0, "step": 0, "test_accuracy": evaluator.accuracy()}
    append_metrics(folder.metrics, line | {"elapsed_seconds": round(attempt.seconds, 3)})
    return {MAIN_STAGE: 0}


def _warnings(parts: Parts, evaluator: Evaluator) -> list[str]:
    labels = parts.held_out.labels
    of_teacher = doubts(accuracy(evaluator.latest(), labels), labels) if parts.config.evaluated else []
    return [*parts.distiller.warnings(), *of_teacher]


def _save_network(parts: Parts, folder: RunFolder) -> None:
    """Saves the trained network; of a teacher in a file, a copy of the file."""
    teacher = parts.config.evaluated
    if teacher is None:
        save_network(folder.network, parts.distiller.deployed, parts.dataset.mean, parts.dataset.std)
        return
    write_atomically(folder.network, Path(teacher.path).read_bytes())
    if sha256(folder.network) != teacher.checksum:
        raise DamageError(f"{teacher.path}: was changed after the command began; start it again.")


def _teacher(config: RunConfig) -> Teacher | None:
    """Returns the trained teacher of the run, if its method needs one.

    Raises:
        TeacherError: the teacher is not trained, or its training failed.
    """
    wanted = config.teacher_run()
    if wanted is None:
        return None
    folder = RunFolder(wanted.directory)
    state = folder.state(wanted)
    if state.done is None:
        raise TeacherError(f"its teacher {folder} {f'failed: {state.failure}' if state.failure else 'is not trained'}")
    return Teacher(folder, state.done)


def _begin(config: RunConfig, folder: RunFolder, parts: Parts, teacher: Teacher | None) -> Attempt:
    """Prints where the run starts, and deletes the record of an earlier attempt."""
    with storing(folder.path):
        folder.record.unlink(missing_ok=True)
    write_atomically(folder.config, yaml.safe_dump(asdict(config), sort_keys=False))
    attempt = Attempt(folder, data=parts.data, teacher=teacher.checksum if teacher else "", code=config.code)
    place = attempt.checkpoint and attempt.checkpoint.position
    where = f"goes on from stage {place.stage}, step {place.step}" if place else "starts"
    print(f"{config.title}: {where}", flush=True)
    return attempt


def _callbacks(
    parts: Parts,
    folder: RunFolder,
    evaluator: Evaluator,
    attempt: Attempt,
    interruption: Interruption,
    observers: Observers,
    stage: Stage,
) -> list[keras.callbacks.Callback]:
    config, plan = parts.config, parts.plan
    finite = StopOnNonFiniteLoss(stage, plan.steps_per_epoch)

    def save(distiller: Distiller, step: int) -> None:
        attempt.save(stage.name, step, distiller.state)

    def write(line: dict[str, Any]) -> None:
        # These seconds include evaluations and checkpoints; the seconds of the epoch do not.
        append_metrics(folder.metrics, line | {"elapsed_seconds": round(attempt.seconds, 3)})

    return [
        finite,
        EpochLog(plan, stage, evaluator, config.evaluate_every, write),
        *observers.of(stage),  # before a checkpoint, after which the process may end
        Checkpointing(plan, stage, config.checkpoint_every, interruption, finite.check, save),
        Progress(f"{config.title} {stage.name}", plan.epochs_of(stage)),
    ]


def _scores(parts: Parts, folder: RunFolder, evaluator: Evaluator, teacher: Teacher | None) -> Scores:
    """Returns the scores after the last epoch, on the held-out images."""
    distiller, logits, labels = parts.distiller, evaluator.latest(), parts.held_out.labels
    final: dict[str, Any] = final_scores(logits, labels)
    if teacher is not None:
        teacher_logits = parts.evaluator(distiller.teacher).logits()
        final |= scores_against_teacher(logits, teacher_logits)
        # The record has the accuracy on the test set, which a run with `validation` must not use.
        recorded = teacher.record.scores.last_accuracy
        final["teacher_accuracy"] = accuracy(teacher_logits, labels) if parts.config.validation else recorded
        final["teacher_digest"] = teacher.record.run.digest
    if distiller.peer is not None:
        final["peer_accuracy"] = parts.evaluator(distiller.peer).accuracy()
    return scores(read_metrics(folder.metrics), final)


def _cost(parts: Parts, attempt: Attempt, steps: dict[str, int]) -> Cost:
    network = parts.distiller.deployed
    return Cost(
        train_images=len(parts.images),
        steps=steps,
        seconds=round(attempt.seconds, 3),
        training_seconds=round(attempt.training_seconds, 3),
        peak_memory_bytes=environment.peak_memory_bytes(),
        parameters=network.count_params(),
        multiply_adds=multiply_adds(network),
    )


def _setting(parts: Parts, attempt: Attempt) -> Setting:
    return replace(
        setting(parts.config, parts.precision, parts.replicas),
        data=parts.data,
        train_data=parts.dataset.train_fingerprint,
        effective={f"method.{name}": value for name, value in parts.distiller.effective.items()},
        sessions=attempt.attempts,
    )
