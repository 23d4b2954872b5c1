"""One run, start to finish: data, networks, distiller, training, record."""

import contextlib
import datetime
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import yaml
from filelock import FileLock, Timeout
from hydra.errors import CompactHydraException
from hydra.utils import get_class

from kd_bench.config import Component, RunConfig
from kd_bench.data.batches import evaluation_batches, training_batches
from kd_bench.data.images import ImageDataset, Images
from kd_bench.data.fractions import subset, take
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import BenchError
from kd_bench.networks.complexity import multiply_adds
from kd_bench.results import facts
from kd_bench.results.metrics import METRICS_NAME, append_metrics, read_metrics
from kd_bench.results.record import (
    CONFIG_NAME,
    DONE,
    FAILED,
    Cost,
    Record,
    Run,
    Scores,
    Setting,
    finished,
    write_record,
)
from kd_bench.seeds import seed_for
from kd_bench.training import hardware
from kd_bench.training.callbacks import EpochLog, Progress, StopOnNonFiniteLoss
from kd_bench.training.evaluation import Evaluator
from kd_bench.training.loop import Plan, train

NETWORK_NAME = "network.keras"
PREDICTIONS_NAME = "predictions.npy"
_EVALUATION_BATCH = 500


class RunFailedError(CompactHydraException):
    """A run has failed, was recorded as failed and reported; Hydra goes on with the sweep and exits with status 1."""


def run(config: RunConfig) -> Record:
    """Runs the run, or returns its record if it is done already.

    Raises:
        RunFailedError: the run was recorded as failed.
    """
    directory = config.directory
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        if (record := finished(directory)) is not None:
            print(f"{_title(config)}: done before, {_percent(record)}", flush=True)
            return record
        return _run(config, directory)


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


def _run(config: RunConfig, directory: Path) -> Record:
    started = time.perf_counter()
    (directory / CONFIG_NAME).write_text(yaml.safe_dump(asdict(config), sort_keys=False))
    (directory / METRICS_NAME).unlink(missing_ok=True)
    print(f"{_title(config)}: starts", flush=True)
    try:
        record = _trained(config, directory)
    except Exception as problem:  # noqa: BLE001 - recorded and raised again under another name
        _record_failure(config, directory, problem)
        raise RunFailedError(f"{_title(config)} failed: {problem}") from None
    record = replace(record, cost=replace(record.cost, seconds=round(time.perf_counter() - started, 3)))
    write_record(directory, record)
    print(f"{_title(config)}: {_percent(record)} in {record.cost.seconds:.1f} s", flush=True)
    return record


def _record_failure(config: RunConfig, directory: Path, problem: Exception) -> None:
    if not isinstance(problem, BenchError | RunFailedError):
        traceback.print_exception(problem)
    reason = f"{type(problem).__name__}: {problem}"
    setting = _setting(config, hardware.resolve_precision(config.precision), 0)
    record = Record(status=FAILED, reason=reason, run=_identity(config), scores=Scores(), cost=Cost(), setting=setting)
    write_record(directory, record)


def _trained(config: RunConfig, directory: Path) -> Record:
    """Does the work of a run: the sentence that this project is about."""
    kind: type[Distiller] = get_class(config.method.target)
    teacher_record = run(config.teacher_run()) if kind.teacher_start == "trained" else None
    strategy = config.hardware.build()
    precision = hardware.prepare_process(config.precision, config.deterministic, seed_for(config.seed, "process"))
    dataset: ImageDataset = config.dataset.build(config.dataset.name)
    images = take(dataset.train, subset(dataset.train.labels, config.fraction, config.subset_seed))
    with strategy.scope():
        distiller = _distiller(config, kind, dataset)
    plan = _plan(config, dataset, images, hardware.resolve_jit(config.jit_compile, strategy))
    batches = evaluation_batches(dataset.test, dataset, batch_size=_EVALUATION_BATCH)
    evaluator = Evaluator(distiller.student, batches, dataset.test.labels)

    def callbacks(stage: Stage) -> list[keras.callbacks.Callback]:
        write = lambda line: append_metrics(directory, line)  # noqa: E731
        log = EpochLog(stage, plan.steps_per_epoch, evaluator, config.evaluate_every, write)
        title = f"{_title(config)} {stage.name}"
        return [StopOnNonFiniteLoss(stage, plan.steps_per_epoch), log, Progress(title)]

    def stage_batches(stage: Stage, steps: int) -> tf.data.Dataset:
        # The main stage sees what a plain student of the same seed sees, whatever came before it.
        seed = config.seed if stage.is_main else seed_for(config.seed, stage.name)
        return training_batches(images, dataset, batch_size=config.batch_size, seed=seed, first_step=0, steps=steps)

    training_started = time.perf_counter()
    steps = train(distiller, plan, config.optimizer.build, stage_batches, callbacks)
    training_seconds = round(time.perf_counter() - training_started, 3)
    predictions = evaluator.predictions()
    distiller.student.save(directory / NETWORK_NAME)
    np.save(directory / PREDICTIONS_NAME, predictions)
    return Record(
        status=DONE,
        run=_identity(config),
        scores=_scores(config, directory, predictions, teacher_record),
        cost=Cost(
            train_images=len(images.labels),
            steps=steps,
            training_seconds=training_seconds,
            peak_memory_bytes=facts.peak_memory_bytes(),
            parameters=distiller.student.count_params(),
            multiply_adds=multiply_adds(distiller.student),
        ),
        setting=_setting(config, precision, strategy.num_replicas_in_sync),
    )


def _distiller(config: RunConfig, kind: type[Distiller], dataset: ImageDataset) -> Distiller:
    """Builds the networks and the distiller; every method's student starts from the same weights for one seed."""
    teacher = None
    if kind.teacher_start is not None:
        teacher = _network(config.model.teacher, dataset, seed_for(config.seed, "peer"))
    if kind.teacher_start == "trained":
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


def _scores(config: RunConfig, directory: Path, predictions: np.ndarray, teacher: Record | None) -> Scores:
    evaluations = [line for line in read_metrics(directory) if "test_accuracy" in line]
    best = max(evaluations, key=lambda line: line["test_accuracy"])
    scores = Scores(
        last_accuracy=evaluations[-1]["test_accuracy"],
        best_accuracy=best["test_accuracy"],
        best_epoch=best["epoch"],
    )
    if teacher is None:
        return scores
    theirs = np.load(config.teacher_run().directory / PREDICTIONS_NAME, allow_pickle=False)
    return replace(
        scores,
        teacher_accuracy=teacher.scores.last_accuracy,
        teacher_digest=teacher.run.digest,
        agreement=float(np.mean(predictions == theirs)),
    )


def _identity(config: RunConfig) -> Run:
    return Run(
        experiment=config.experiment,
        dataset=config.dataset.name,
        model=config.model.name,
        method=config.method.name,
        label=config.method.label,
        fraction=config.fraction,
        seed=config.seed,
        subset_seed=config.subset_seed,
        budget=config.budget,
        digest=config.digest,
        protocol=config.protocol,
        overrides=config.overrides,
    )


def _setting(config: RunConfig, precision: str, replicas: int) -> Setting:
    purposes = ("initialisation", "shuffle", "augmentation", "method")
    return Setting(
        precision=precision,
        replicas=replicas,
        seeds={purpose: seed_for(config.seed, purpose) for purpose in purposes},
        versions=facts.versions(),
        machine=facts.machine(),
        git=facts.git_revision(),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _title(config: RunConfig) -> str:
    variant = "".join(f" {key}={value}" for key, value in config.overrides.items())
    return f"{config.dataset.name} {config.method.name} fraction={config.fraction:g} seed={config.seed}{variant}"


def _percent(record: Record) -> str:
    return f"{100 * (record.scores.last_accuracy or 0):.2f} %"
