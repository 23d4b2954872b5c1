"""One run from start to finish: lock, standing, build, train, record."""

import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import yaml

from kd_bench.build import build
from kd_bench.complexity import multiply_adds
from kd_bench.config import MAIN_STAGE
from kd_bench.config.checksums import file_checksum
from kd_bench.config.schema import RunConfig
from kd_bench.data.description import describe
from kd_bench.data.encoded import naming_damage
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import BenchError, ConfigError, DamageError, DataError, RunFailedError, StorageError
from kd_bench.messages import say, warn
from kd_bench.runs import environment
from kd_bench.runs.attempt import Attempt
from kd_bench.runs.checkpoints import Checkpoints
from kd_bench.runs.files import storing, write_atomically
from kd_bench.runs.finished import FinishedRun
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.metrics import append_metrics, read_metrics
from kd_bench.runs.outcome import record_done, record_failure, scores, setting, stage_costs
from kd_bench.runs.record import Cost, Record, Scores, Setting, write_record
from kd_bench.runs.standing import read_standing
from kd_bench.training.callbacks import Checkpointing, EpochLog, ProgressBar, StopOnNonFiniteLoss
from kd_bench.training.failures import Failure, failure
from kd_bench.training.interruption import Interruption
from kd_bench.training.loading import accuracy_warnings
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
    with locked(folder, wait, config.title) as waited:
        standing = read_standing(config)
        if standing.done is not None:
            return standing.done
        # A process that waited does not repeat a failed run, but continues the run of a process that was killed.
        if waited and standing.failure is not None and standing.checkpoint is None:
            raise RunFailedError(f"{config.title} failed: {standing.failure}")
        for damage in standing.damage:
            warn(f"{damage}; the run is done again.")
        record = _execute(config, folder, interruption or Interruption(), standing.failure)
    for warning in record.warnings:
        warn(f"warning: {config.title}: {warning}")
    say(f"{config.title}: {record.scores.last_accuracy:.2%} in {record.cost.seconds:.1f} s")
    return record


def _execute(config: RunConfig, folder: RunFolder, interruption: Interruption, earlier: str | None) -> Record:
    """Does the run and records its result or its failure; `earlier` is the reason of its previous failure."""
    checkpoints = Checkpoints(folder.checkpoints)
    try:
        record = Execution(config, folder, interruption).record()
        write_record(folder.record, record)
    except (ConfigError, DataError):
        folder.delete_if_unused(Path(config.outputs))
        raise
    except Exception as problem:  # noqa: BLE001 - recorded, and raised again as a failed run
        failed = failure(problem, checkpoints.progress_text(), earlier)
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


class Execution:
    """One attempt at a run, under the lock of its folder: it builds what the run needs, trains, saves and records.

    Attributes:
        config: the config of the run.
        folder: where it writes.
        teacher: the run of its trained teacher; None without one.
        parts: what it needs before its first step.
        evaluator: of the deployed network, on the held-out images.
        attempt: where it resumes, and how long it takes.
    """

    def __init__(self, config: RunConfig, folder: RunFolder, interruption: Interruption) -> None:
        """Builds what the run needs, and deletes the record of an earlier attempt.

        Raises:
            ConfigError, DataError: the config asks for something impossible.
            TeacherError: the teacher is not trained, or its training failed.
        """
        self.config = config
        self.folder = folder
        self._interruption = interruption
        self.teacher = _trained_teacher(config)
        self.parts = build(config, self.teacher)
        self.distiller = self.parts.distiller
        self.evaluator = self.parts.evaluator(self.distiller.deployed)
        with storing(folder.path):
            folder.record.unlink(missing_ok=True)
        write_atomically(folder.config, yaml.safe_dump(config.stored(), sort_keys=False))
        checksum = self.teacher.checksum if self.teacher else ""
        self.attempt = Attempt(folder, data=self.parts.data, teacher=checksum, code=config.code)

    def record(self) -> Record:
        """Trains, or evaluates a teacher in a file; saves the network; returns the run's record."""
        self._announce()
        self.attempt.begin_training()
        with naming_damage(self.parts.images, self.parts.held_out):
            steps = self._evaluate() if self.config.evaluated else self._train()
        self.attempt.end_training()
        self._save_network()
        self.folder.save_predictions(self.evaluator.latest().argmax(axis=1))
        return record_done(
            self.config,
            scores=self._scores(),
            cost=self._cost(steps),
            setting=self._setting(),
            warnings=self._warnings(),
            files=self.folder.checksums(),
        )

    def _announce(self) -> None:
        """Says on which data and by which preset the run is done, and from where."""
        config = self.config
        description = describe(self.parts.dataset, with_test=not config.validation)
        say(f"{config.dataset.name} (experiment={config.experiment}): {description}.")
        position = self.attempt.checkpoint and self.attempt.checkpoint.position
        start = f"goes on from stage {position.stage}, step {position.step}" if position else "starts"
        say(f"{config.title}: {start}")

    def _train(self) -> dict[str, int]:
        """Trains the student while the callbacks of the config observe it. Returns the steps of each stage."""
        checkpoint, plan = self.attempt.checkpoint, self.parts.plan
        stages, resumed = self.distiller.stages(), checkpoint is not None
        with observing(self.config, self.folder, plan, stages, resumed) as observers:

            def callbacks(stage: Stage) -> list[keras.callbacks.Callback]:
                return self._callbacks(stage, observers)

            optimizer = self.config.optimizer.build
            return train(self.distiller, plan, optimizer, self.parts.batches, callbacks, checkpoint)

    def _callbacks(self, stage: Stage, observers: Observers) -> list[keras.callbacks.Callback]:
        config, plan = self.config, self.parts.plan
        finite = StopOnNonFiniteLoss(stage, plan.steps_per_epoch)

        def save(distiller: Distiller, step: int) -> None:
            self.attempt.save(stage.name, step, distiller.state)

        return [
            finite,
            EpochLog(plan, stage, self.evaluator, config.evaluate_every, self._write),
            *observers.stage_callbacks(stage),  # before a checkpoint, after which the process may end
            Checkpointing(plan, stage, config.checkpoint_every, self._interruption, finite.check, save),
            ProgressBar(f"{config.title} {stage.name}", plan.epochs_of(stage)),
        ]

    def _write(self, line: dict[str, Any]) -> None:
        # These seconds include evaluations and checkpoints; the seconds of the epoch do not.
        append_metrics(self.folder.metrics, line | {"elapsed_seconds": round(self.attempt.seconds, 3)})

    def _evaluate(self) -> dict[str, int]:
        """Evaluates a teacher that is not trained, and writes the one line of its metrics. Returns its steps: none."""
        accuracy = self.evaluator.accuracy()
        self._write({"stage": MAIN_STAGE, "epoch": 0, "epochs": 0, "step": 0, "test_accuracy": accuracy})
        return {MAIN_STAGE: 0}

    def _save_network(self) -> None:
        """Saves the trained network, or that of given weights; of a teacher in a Keras file, a copy of the file."""
        teacher, dataset = self.config.evaluated, self.parts.dataset
        if teacher is None or teacher.has_weights_alone:
            save_network(self.folder.network, self.distiller.deployed, dataset.mean, dataset.std)
        else:
            write_atomically(self.folder.network, Path(teacher.path).read_bytes())
        if teacher is not None:
            read = Path(teacher.path) if teacher.has_weights_alone else self.folder.network
            if file_checksum(read) != teacher.checksum:
                raise DamageError(f"{teacher.path}: was changed after the command began; start it again.")

    def _scores(self) -> Scores:
        """Returns the scores after the last epoch, on the held-out images."""
        logits, labels = self.evaluator.latest(), self.parts.held_out.labels
        final: dict[str, Any] = final_scores(logits, labels)
        if self.teacher is not None:
            teacher_logits = self.parts.evaluator(self.distiller.teacher).logits()
            final |= scores_against_teacher(logits, teacher_logits)
            # The record has the accuracy on the test set, which a run with `validation` must not use.
            recorded = self.teacher.record.scores.last_accuracy
            final["teacher_accuracy"] = accuracy(teacher_logits, labels) if self.config.validation else recorded
            final["teacher_digest"] = self.teacher.record.run.digest
        if self.distiller.peer is not None:
            final["peer_accuracy"] = self.parts.evaluator(self.distiller.peer).accuracy()
        return scores(read_metrics(self.folder.metrics), final)

    def _cost(self, steps: dict[str, int]) -> Cost:
        network = self.distiller.deployed
        return Cost(
            train_images=len(self.parts.images),
            steps=steps,
            seconds=round(self.attempt.seconds, 3),
            training_seconds=round(self.attempt.training_seconds, 3),
            **stage_costs(read_metrics(self.folder.metrics), steps),
            peak_memory_bytes=environment.peak_memory_bytes(),
            parameters=network.count_params(),
            multiply_adds=multiply_adds(network),
        )

    def _setting(self) -> Setting:
        return replace(
            setting(self.config, self.parts.precision, self.parts.replicas),
            data=self.parts.data,
            train_data=self.parts.dataset.train_fingerprint,
            effective={f"method.{name}": value for name, value in self._effective().items()},
            attempts=self.attempt.attempts,
        )

    def _effective(self) -> dict[str, float | str]:
        """Returns the used values of hyper-parameters that are not those of the method's authors, by name."""
        longer = [stage for stage in self.distiller.stages() if self.parts.plan.is_lengthened(stage)]
        return self.distiller.effective | {f"{stage.name}_min_steps": stage.min_steps for stage in longer}

    def _warnings(self) -> list[str]:
        logits, labels = self.evaluator.latest(), self.parts.held_out.labels
        teacher_warnings = accuracy_warnings(accuracy(logits, labels), labels) if self.config.evaluated else []
        return [*self.distiller.warnings(), *teacher_warnings]


def _trained_teacher(config: RunConfig) -> FinishedRun | None:
    """Returns the run of the trained teacher, if the method of this run needs one.

    Raises:
        TeacherError: the teacher is not trained, or its training failed.
    """
    teacher_config = config.teacher_run()
    if teacher_config is None:
        return None
    teacher = read_standing(teacher_config)
    if teacher.done is None:
        problem = f"failed: {teacher.failure}" if teacher.failure else "is not trained"
        raise TeacherError(f"its teacher {teacher.folder} {problem}")
    return FinishedRun(teacher.folder, teacher.done)
