"""What lies ready before a run's first step: data, networks, distiller, and how long it trains."""

from dataclasses import dataclass

import keras

from kd_bench.artefacts import load_weights
from kd_bench.config import Component, RunConfig, require_equal_shares
from kd_bench.data.batches import require_batches
from kd_bench.data.fractions import subset, take
from kd_bench.data.images import ImageDataset, Images
from kd_bench.distillers.base import Distiller
from kd_bench.errors import ConfigError
from kd_bench.networks.complexity import multiply_adds
from kd_bench.runs.record import Record
from kd_bench.seeds import seed_for
from kd_bench.session import Session
from kd_bench.training import hardware
from kd_bench.training.loop import Plan

_MOST_STEPS_PER_CALL = 32
_MULTIPLY_ADDS_PER_CALL = 2e11
"""Of the student, forward: a call takes some seconds on two CPU cores, and as long it takes to heed a signal."""


@dataclass(frozen=True)
class Workbench:
    """What a run trains, on what, and how.

    Attributes:
        dataset: as it was read.
        images: the fraction to learn from.
        distiller: built under the run's strategy, with its networks.
        plan: lengths.
        precision: in force.
        replicas: that share each batch.
    """

    dataset: ImageDataset
    images: Images
    distiller: Distiller
    plan: Plan
    precision: str
    replicas: int


def set_up(config: RunConfig, kind: type[Distiller], session: Session, teacher: Record | None) -> Workbench:
    """Prepares the process and reads and builds what the run needs.

    Args:
        config: of the run.
        kind: the method's distiller.
        session: says which images the run began with, if it goes on from a checkpoint.
        teacher: the record of the trained teacher, if the method has one.

    Raises:
        BenchError: something cannot be had as asked for; the message says which key to change.
    """
    strategy = config.hardware.build()
    replicas = strategy.num_replicas_in_sync
    require_equal_shares("batch_size", config.batch_size, replicas)
    precision = hardware.prepare_process(config.precision, config.deterministic, seed_for(config.seed, "process"))
    dataset = _dataset(config, session, teacher)
    images = take(dataset.train, subset(dataset.train.labels, config.fraction, config.subset_seed))
    require_batches(images, dataset, config.batch_size)
    with strategy.scope():
        distiller = _distiller(config, kind, dataset)
    jit_compile = hardware.resolve_jit(config.jit_compile, strategy, kind.compiles)
    plan = _plan(config, dataset, images, distiller, jit_compile)
    return Workbench(dataset, images, distiller, plan, precision, replicas)


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
