"""One run, start to finish: data, networks, distiller, training, record."""

import math
import sys
import traceback
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf
import yaml
from hydra.utils import get_class

from kd_bench.artefacts import load_weights, save_network, save_predictions
from kd_bench.config import Component, RunConfig, require_equal_shares
from kd_bench.data.batches import evaluation_batches, require_batches, training_batches
from kd_bench.data.fractions import subset, take
from kd_bench.data.images import ImageDataset, Images
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import BenchError, ConfigError, StorageError
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
from kd_bench.results import facts
from kd_bench.results.files import storing, write_atomically
from kd_bench.results.metrics import METRICS_NAME, append_metrics
from kd_bench.results.record import CONFIG_NAME, DONE, RECORD_NAME, Cost, Record, checksums, write_record
from kd_bench.seeds import seed_for
from kd_bench.session import Session
from kd_bench.standing import Standing, standing
from kd_bench.training import hardware
from kd_bench.training.callbacks import Checkpointing, EpochLog, NonFiniteLossError, Progress, StopOnNonFiniteLoss
from kd_bench.training.checkpoints import Checkpoints
from kd_bench.training.evaluation import Evaluator
from kd_bench.training.loop import Plan, train

_EVALUATION_BATCH = 500
_MOST_STEPS_PER_CALL = 32
_MULTIPLY_ADDS_PER_CALL = 2e11
"""Of the student, forward: a call takes some seconds on two CPU cores, and as long it takes to heed a signal."""


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
    strategy = config.hardware.build()
    require_equal_shares("batch_size", config.batch_size, strategy.num_replicas_in_sync)
    precision = hardware.prepare_process(config.precision, config.deterministic, seed_for(config.seed, "process"))
    dataset = _dataset(config, session, teacher)
    images = take(dataset.train, subset(dataset.train.labels, config.fraction, config.subset_seed))
    require_batches(images, dataset, config.batch_size)
    with strategy.scope():
        distiller = _distiller(config, kind, dataset)
    evaluate = partial(Evaluator, batches=_test_batches(dataset), labels=dataset.test.labels)
    evaluator = evaluate(distiller.student)
    plan = _plan(config, dataset, images, distiller, hardware.resolve_jit(config.jit_compile, strategy, kind.compiles))
    session.begin_training()
    steps = train(
        distiller,
        plan,
        config.optimizer.build,
        partial(_batches, config, dataset, images),
        partial(_callbacks, config, plan, evaluator, session, interruption),
        session.checkpoint,
    )
    training_seconds = session.training_seconds
    predictions = evaluator.predictions()
    save_network(directory, distiller.student)
    save_predictions(directory, predictions)
    peer = distiller.peer and evaluate(distiller.peer).accuracy()
    setting = record_setting(config, precision, strategy.num_replicas_in_sync)
    return Record(
        status=DONE,
        run=record_identity(config),
        scores=replace(record_scores(config, predictions, teacher), peer_accuracy=peer),
        cost=Cost(
            train_images=len(images),
            steps=steps,
            seconds=round(session.seconds, 3),
            training_seconds=round(training_seconds, 3),
            peak_memory_bytes=facts.peak_memory_bytes(),
            parameters=distiller.student.count_params(),
            multiply_adds=multiply_adds(distiller.student),
        ),
        setting=replace(setting, data=dataset.fingerprint, sessions=session.sessions),
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
    session = Session(directory, teacher.files.get(NETWORK_NAME, "") if teacher else "")
    place = session.checkpoint and session.checkpoint.position
    print(
        f"{title(config)}: " + (f"goes on from stage {place.stage}, step {place.step}" if place else "starts"),
        flush=True,
    )
    return session


def _dataset(config: RunConfig, session: Session, teacher: Record | None) -> ImageDataset:
    """Reads the images, and makes sure that they are the ones that the run began with and its teacher learned from."""
    dataset: ImageDataset = config.dataset.build(config.dataset.name)
    session.require_data(dataset.fingerprint)
    if teacher is not None and teacher.setting.data not in (None, dataset.fingerprint):
        raise ConfigError(
            f"dataset.data_dir: these images (fingerprint {dataset.fingerprint}) are not those that the teacher in "
            f"{config.teacher_run().directory} learned from ({teacher.setting.data}); use the same data, or set "
            "another outputs= to train a teacher on these."
        )
    return dataset


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


def _distiller(config: RunConfig, kind: type[Distiller], dataset: ImageDataset) -> Distiller:
    """Builds the networks and the distiller; every method's student starts from the same weights for one seed."""
    teacher = None
    if kind.teacher_start is not None:
        teacher = _network(config.model.teacher, dataset, seed_for(config.seed, "peer"))
    if teacher is not None and kind.teacher_start == "trained":
        load_weights(config.teacher_run().directory, teacher)
    architecture = config.model.teacher if kind.network == "teacher" else config.model.student
    student = _network(architecture, dataset, seed_for(config.seed, "initialisation"))
    keras.utils.set_random_seed(seed_for(config.seed, "method"))
    return config.method.build(student, teacher)


def _network(architecture: Component, dataset: ImageDataset, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return architecture.build(dataset.train.pixels.shape[1:], dataset.num_classes)


def _plan(config: RunConfig, dataset: ImageDataset, images: Images, distiller: Distiller, jit_compile: bool) -> Plan:
    counted = dataset.train if config.budget == "steps" else images
    work = config.batch_size * multiply_adds(distiller.student)
    most = min(
        _MOST_STEPS_PER_CALL, config.checkpoint_every or _MOST_STEPS_PER_CALL, int(_MULTIPLY_ADDS_PER_CALL / work)
    )
    return Plan(config.epochs, len(counted.labels) // config.batch_size, max(1, most), jit_compile)
