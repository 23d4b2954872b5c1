"""One run, start to finish: data, networks, distiller, training, record."""

import contextlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import yaml
from filelock import FileLock, Timeout
from hydra.utils import get_class

from kd_bench.config import Component, RunConfig
from kd_bench.data.batches import evaluation_batches, training_batches
from kd_bench.data.fractions import subset, take
from kd_bench.data.images import ImageDataset, Images
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import BenchError
from kd_bench.networks.complexity import multiply_adds
from kd_bench.report import NETWORK_NAME, PREDICTIONS_NAME, record_identity, record_scores, record_setting, title
from kd_bench.results import facts
from kd_bench.results.metrics import METRICS_NAME, append_metrics
from kd_bench.results.record import (
    CONFIG_NAME,
    DONE,
    FAILED,
    Cost,
    Record,
    Scores,
    finished,
    write_record,
)
from kd_bench.seeds import seed_for
from kd_bench.training import hardware
from kd_bench.training.callbacks import EpochLog, Progress, StopOnNonFiniteLoss
from kd_bench.training.evaluation import Evaluator
from kd_bench.training.loop import Plan, train

_EVALUATION_BATCH = 500


class RunFailedError(BenchError):
    """A run has failed and was recorded as failed."""


def run(config: RunConfig) -> Record:
    """Runs the run, or returns its record if it is done already.

    Raises:
        RunFailedError: the run was recorded as failed.
    """
    directory = config.directory
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        if (record := finished(directory)) is not None:
            return record
        print(f"{title(config)}: starts", flush=True)
        (directory / CONFIG_NAME).write_text(yaml.safe_dump(asdict(config), sort_keys=False))
        (directory / METRICS_NAME).unlink(missing_ok=True)
        try:
            record = _trained(config, directory)
        except Exception as problem:  # noqa: BLE001 - recorded, and raised again as a failed run
            _record_failure(config, directory, problem)
            raise RunFailedError(f"{title(config)} failed: {problem}") from None
        write_record(directory, record)
    print(f"{title(config)}: {record.scores.last_accuracy:.2%} in {record.cost.seconds:.1f} s", flush=True)
    return record


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Holds the run's lock: who comes second waits, and finds the run done. A dead process holds none."""
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{directory}: another process runs it; waiting.", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _record_failure(config: RunConfig, directory: Path, problem: Exception) -> None:
    if not isinstance(problem, BenchError):
        traceback.print_exception(problem)
    reason = f"{type(problem).__name__}: {problem}"
    setting = record_setting(config, hardware.resolve_precision(config.precision), replicas=0)
    record = Record(
        status=FAILED, reason=reason, run=record_identity(config), scores=Scores(), cost=Cost(), setting=setting
    )
    write_record(directory, record)


def _trained(config: RunConfig, directory: Path) -> Record:
    """Does the work of a run: the sentence that this project is about."""
    kind: type[Distiller] = get_class(config.method.target)
    teacher = run(config.teacher_run()) if kind.teacher_start == "trained" else None
    started = time.perf_counter()
    strategy = config.hardware.build()
    precision = hardware.prepare_process(config.precision, config.deterministic, seed_for(config.seed, "process"))
    dataset: ImageDataset = config.dataset.build(config.dataset.name)
    images = take(dataset.train, subset(dataset.train.labels, config.fraction, config.subset_seed))
    with strategy.scope():
        distiller = _distiller(config, kind, dataset)
    test_batches = evaluation_batches(dataset.test, dataset, batch_size=_EVALUATION_BATCH)
    evaluator = Evaluator(distiller.student, test_batches, dataset.test.labels)
    plan = _plan(config, dataset, images, hardware.resolve_jit(config.jit_compile, strategy, kind.compiles))
    training_started = time.perf_counter()
    steps = train(
        distiller,
        plan,
        config.optimizer.build,
        partial(_batches, config, dataset, images),
        partial(_callbacks, config, directory, plan, evaluator),
    )
    training_seconds = time.perf_counter() - training_started
    predictions = evaluator.predictions()
    peer = distiller.peer and Evaluator(distiller.peer, test_batches, dataset.test.labels).accuracy()
    distiller.student.save(directory / NETWORK_NAME)
    np.save(directory / PREDICTIONS_NAME, predictions)
    return Record(
        status=DONE,
        run=record_identity(config),
        scores=replace(record_scores(config, predictions, teacher), peer_accuracy=peer),
        cost=Cost(
            train_images=len(images),
            steps=steps,
            seconds=round(time.perf_counter() - started, 3),
            training_seconds=round(training_seconds, 3),
            peak_memory_bytes=facts.peak_memory_bytes(),
            parameters=distiller.student.count_params(),
            multiply_adds=multiply_adds(distiller.student),
        ),
        setting=record_setting(config, precision, strategy.num_replicas_in_sync),
    )


def _batches(config: RunConfig, dataset: ImageDataset, images: Images, stage: Stage, steps: int) -> tf.data.Dataset:
    # The main stage sees what a plain student of the same seed sees, whatever came before it.
    seed = config.seed if stage.is_main else seed_for(config.seed, stage.name)
    return training_batches(images, dataset, batch_size=config.batch_size, seed=seed, first_step=0, steps=steps)


def _callbacks(
    config: RunConfig, directory: Path, plan: Plan, evaluator: Evaluator, stage: Stage
) -> list[keras.callbacks.Callback]:
    return [
        StopOnNonFiniteLoss(stage, plan.steps_per_epoch),
        EpochLog(stage, plan.steps_per_epoch, evaluator, config.evaluate_every, partial(append_metrics, directory)),
        Progress(f"{title(config)} {stage.name}"),
    ]


def _distiller(config: RunConfig, kind: type[Distiller], dataset: ImageDataset) -> Distiller:
    """Builds the networks and the distiller; every method's student starts from the same weights for one seed."""
    teacher = None
    if kind.teacher_start is not None:
        teacher = _network(config.model.teacher, dataset, seed_for(config.seed, "peer"))
    if teacher is not None and kind.teacher_start == "trained":
        teacher.load_weights(config.teacher_run().directory / NETWORK_NAME)
    architecture = config.model.teacher if kind.network == "teacher" else config.model.student
    student = _network(architecture, dataset, seed_for(config.seed, "initialisation"))
    keras.utils.set_random_seed(seed_for(config.seed, "method"))
    return config.method.build(student, teacher)


def _network(architecture: Component, dataset: ImageDataset, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return architecture.build(dataset.train.pixels.shape[1:], dataset.num_classes)


def _plan(config: RunConfig, dataset: ImageDataset, images: Images, jit_compile: bool) -> Plan:
    counted = dataset.train if config.budget == "steps" else images
    steps_per_epoch = len(counted.labels) // config.batch_size
    return Plan(config.epochs, steps_per_epoch, jit_compile)
