"""One run, start to finish: its teacher, what it needs, training, record."""

import math
import sys
import traceback
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import yaml
from hydra.utils import get_class

from kd_bench.artefacts import save_network, save_predictions
from kd_bench.config import RunConfig
from kd_bench.data.batches import evaluation_batches, training_batches
from kd_bench.data.images import ImageDataset, Images
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import BenchError, StorageError
from kd_bench.interruption import Interruption
from kd_bench.locking import locked
from kd_bench.networks.complexity import multiply_adds
from kd_bench.report import (
    NETWORK_NAME,
    PREDICTIONS_NAME,
    record_failure,
    record_identity,
    record_scores,
    record_setting,
    title,
)
from kd_bench.runs import environment
from kd_bench.runs.files import storing, write_atomically
from kd_bench.runs.metrics import METRICS_NAME, append_metrics
from kd_bench.runs.record import CONFIG_NAME, DONE, RECORD_NAME, Cost, Record, Scores, checksums, write_record
from kd_bench.seeds import seed_for
from kd_bench.session import Session
from kd_bench.standing import Standing, standing
from kd_bench.training.callbacks import Checkpointing, EpochLog, NonFiniteLossError, Progress, StopOnNonFiniteLoss
from kd_bench.training.checkpoints import Checkpoints
from kd_bench.training.evaluation import Evaluator
from kd_bench.training.loop import Plan, train
from kd_bench.training.scores import final_scores, scores_against_teacher
from kd_bench.workbench import Workbench, set_up

_EVALUATION_BATCH = 500


class RunFailedError(BenchError):
    """A run has failed and was recorded as failed."""


class TeacherError(BenchError):
    """A run cannot begin, because its teacher failed."""


class TeacherWanted(Exception):  # noqa: N818 - nothing went wrong
    """A run cannot begin before its teacher has been trained: it is `config.teacher_run()`."""


def run(config: RunConfig, since: float = math.inf, interruption: Interruption | None = None) -> Record:
    """Runs the run, from its last checkpoint if there is one, or returns its record if it is done already.

    Args:
        config: of the run.
        since: if the run failed after this time, in seconds of Unix time, it is not tried again.
        interruption: says when to save and leave.

    Raises:
        TeacherWanted: the teacher must be trained first.
        RunFailedError: the run was recorded as failed.
        StorageError: its folder cannot be written to.
        SchemaError: another version of this program wrote its record.
    """
    directory = config.directory
    with storing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with locked(directory) as waited:
        before = standing(config)
        if before.done is not None:
            return before.done
        # Who waited for a process that was killed takes its run over.
        if _failed_since(config, before, since) and not (waited and before.resumable):
            raise RunFailedError(f"{title(config)} failed: {before.failure}")
        for damage in before.damage:
            print(f"{damage}; the run is done again.", file=sys.stderr, flush=True)
        try:
            record = _trained(config, directory, since, interruption or Interruption())
            write_record(directory, record)
        except TeacherWanted:
            raise
        except Exception as problem:  # noqa: BLE001 - recorded, and raised again as a failed run
            _record_failure(config, directory, problem)
            raise RunFailedError(f"{title(config)} failed: {problem}") from None
        Checkpoints(directory).delete()
    for warning in record.warnings:
        print(f"warning: {title(config)}: {warning}", file=sys.stderr, flush=True)
    print(f"{title(config)}: {record.scores.last_accuracy:.2%} in {record.cost.seconds:.1f} s", flush=True)
    return record


def _record_failure(config: RunConfig, directory: Path, problem: Exception) -> None:
    if not isinstance(problem, BenchError):
        traceback.print_exception(problem)
    if isinstance(problem, NonFiniteLossError) or not isinstance(problem, BenchError):
        # From the same state it would fail again; and what a bug left must not be built upon once it is mended.
        Checkpoints(directory).delete()
    try:
        write_record(directory, record_failure(config, f"{type(problem).__name__}: {problem}"))
    except StorageError as another:
        print(f"error: the failure could not be recorded: {another}", file=sys.stderr, flush=True)


def _trained(config: RunConfig, directory: Path, since: float, interruption: Interruption) -> Record:
    """Does the work of a run: the sentence that this project is about."""
    kind: type[Distiller] = get_class(config.method.target)
    teacher = _teacher(config, since) if kind.teacher_start == "trained" else None
    session = _begin(config, directory, teacher)
    bench = set_up(config, kind, session, teacher)
    dataset, distiller = bench.dataset, bench.distiller
    evaluate = partial(Evaluator, batches=_test_batches(dataset), labels=dataset.test.labels)
    evaluator = evaluate(distiller.student)
    session.begin_training()
    steps = train(
        distiller,
        bench.plan,
        config.optimizer.build,
        partial(_batches, config, dataset, bench.images),
        partial(_callbacks, config, bench.plan, evaluator, session, interruption),
        session.checkpoint,
    )
    session.end_training()
    logits = evaluator.logits()
    save_network(directory, distiller.student)
    save_predictions(directory, logits.argmax(axis=1).astype(np.int32))
    final = final_scores(logits, dataset.test.labels)
    if teacher is not None:
        final |= scores_against_teacher(logits, evaluate(distiller.teacher).logits())
    if distiller.peer is not None:
        final["peer_accuracy"] = evaluate(distiller.peer).accuracy()
    return _record(config, directory, bench, session, steps, record_scores(config, teacher, final))


def _record(
    config: RunConfig, directory: Path, bench: Workbench, session: Session, steps: dict[str, int], scores: Scores
) -> Record:
    setting = record_setting(config, bench.precision, bench.replicas)
    student = bench.distiller.student
    return Record(
        status=DONE,
        warnings=bench.distiller.warnings(),
        run=record_identity(config),
        scores=scores,
        cost=Cost(
            train_images=len(bench.images),
            steps=steps,
            seconds=round(session.seconds, 3),
            training_seconds=round(session.training_seconds, 3),
            peak_memory_bytes=environment.peak_memory_bytes(),
            parameters=student.count_params(),
            multiply_adds=multiply_adds(student),
        ),
        setting=replace(
            setting,
            data=bench.dataset.fingerprint,
            effective={f"method.{name}": value for name, value in bench.distiller.effective.items()},
            sessions=session.sessions,
        ),
        config=config.facts(),
        files=checksums(directory, (METRICS_NAME, NETWORK_NAME, PREDICTIONS_NAME)),
    )


def _teacher(config: RunConfig, since: float) -> Record:
    """Returns the record of the run's teacher.

    Raises:
        TeacherWanted: it has not been trained.
        TeacherError: its training has just failed.
    """
    teacher = config.teacher_run()
    now = standing(teacher)
    if now.done is not None:
        return now.done
    if _failed_since(teacher, now, since):
        raise TeacherError(f"its teacher {teacher.directory} failed: {now.failure}")
    raise TeacherWanted


def _failed_since(config: RunConfig, now: Standing, since: float) -> bool:
    return now.failure is not None and (config.directory / RECORD_NAME).stat().st_mtime >= since


def _begin(config: RunConfig, directory: Path, teacher: Record | None) -> Session:
    """Says where the run starts, and takes away what an earlier attempt said about its end."""
    with storing(directory):
        (directory / RECORD_NAME).unlink(missing_ok=True)
    write_atomically(directory / CONFIG_NAME, yaml.safe_dump(asdict(config), sort_keys=False))
    session = Session(directory, teacher.files.get(NETWORK_NAME, "") if teacher else "", config.code)
    place = session.checkpoint and session.checkpoint.position
    print(
        f"{title(config)}: " + (f"goes on from stage {place.stage}, step {place.step}" if place else "starts"),
        flush=True,
    )
    return session


def _test_batches(dataset: ImageDataset) -> tf.data.Dataset:
    return evaluation_batches(dataset.test, dataset, batch_size=_EVALUATION_BATCH)


def _batches(
    config: RunConfig, dataset: ImageDataset, images: Images, stage: Stage, first_step: int, steps: int
) -> tf.data.Dataset:
    # The main stage sees what a plain student of the same seed sees, whatever came before it.
    seed = config.seed if stage.is_main else seed_for(config.seed, stage.name)
    return training_batches(
        images, dataset, batch_size=config.batch_size, seed=seed, first_step=first_step, steps=steps
    )


def _callbacks(
    config: RunConfig, plan: Plan, evaluator: Evaluator, session: Session, interruption: Interruption, stage: Stage
) -> list[keras.callbacks.Callback]:
    finite = StopOnNonFiniteLoss(stage, plan.steps_per_epoch)
    save = partial(session.save, stage)
    return [
        finite,
        EpochLog(plan, stage, evaluator, config.evaluate_every, partial(append_metrics, config.directory)),
        Checkpointing(plan, stage, config.checkpoint_every, interruption, finite.check, save),
        Progress(f"{title(config)} {stage.name}", plan.epochs_of(stage)),
    ]
