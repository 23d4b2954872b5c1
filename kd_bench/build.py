"""What a run needs before its first step: data, networks and distiller, the plan of its training."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf

from kd_bench.complexity import multiply_adds
from kd_bench.config.schema import RunConfig, require_equal_shares
from kd_bench.data.augmentation import require_colours
from kd_bench.data.batches import evaluation_batches, require_batches, training_batches
from kd_bench.data.fractions import hold_out, naming_classes, subset, take
from kd_bench.data.images import ImageDataset, Images
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.errors import ConfigError, SmallMachineError
from kd_bench.messages import warn
from kd_bench.pair import build_distiller
from kd_bench.runs.finished import FinishedRun
from kd_bench.seeds import seed_for
from kd_bench.training import hardware
from kd_bench.training.evaluation import Evaluator
from kd_bench.training.loop import Plan

_EVALUATION_BATCH = 500
_EVALUATION_VALUES = 1 << 24
"""Batches of large images are smaller than that: they have at most so many values, 64 MB in float32."""
_MOST_STEPS_PER_CALL = 32
_MULTIPLY_ADDS_PER_CALL = 2e11
"""Limit on the student's forward multiply-adds per compiled call. It keeps a call to a few seconds; signals are handled
only between calls."""


@dataclass(frozen=True)
class Parts:
    """The parts of a run: data, networks, method and lengths.

    Attributes:
        config: the config of the run.
        dataset: the whole data set.
        images: the images to learn from: the fraction, without the part that `validation` holds out.
        held_out: the images to evaluate on: that part, or the test set.
        data: the fingerprint of the images that the run may read.
        distiller: built under the run's strategy, with its networks.
        plan: the lengths of its training.
        precision: the resolved one.
        replicas: how many devices share each batch.
    """

    config: RunConfig
    dataset: ImageDataset
    images: Images
    held_out: Images
    data: str
    distiller: Distiller
    plan: Plan
    precision: str
    replicas: int

    def batches(self, stage: Stage, first_step: int, steps: int) -> tf.data.Dataset:
        """Returns the training batches of a stage's steps `first_step` to `steps - 1`."""
        # The main stage sees what a plain student with the same seed sees, also after other stages.
        seed = self.config.seed if stage.is_main else seed_for(self.config.seed, stage.name)
        options = {"batch_size": self.config.batch_size, "seed": seed, "first_step": first_step, "steps": steps}
        return training_batches(self.images, self.dataset, **options, augmentation=self.config.augmentation)

    def evaluator(self, network: keras.Model) -> Evaluator:
        """Returns an evaluator of a network on the held-out images."""
        at_once = min(_EVALUATION_BATCH, _EVALUATION_VALUES // math.prod(self.held_out.pixels.shape[1:]) or 1)
        batches = evaluation_batches(self.held_out, self.dataset, batch_size=at_once)
        return Evaluator(network, batches, self.held_out.labels)


def build(config: RunConfig, teacher: FinishedRun | None, dataset: ImageDataset | None = None) -> Parts:
    """Prepares the process, and reads and builds what the run needs.

    Args:
        config: the config of the run.
        teacher: the run of the trained teacher, if the method has one.
        dataset: the config's data set, if it is loaded already.

    Raises:
        ConfigError, DataError: the config asks for something impossible; the message names the key to change.
        DamageError: the saved network of the teacher does not fit this run's teacher.
    """
    distiller_class: type[Distiller] = config.method.load()
    strategy = config.hardware.build()
    replicas = strategy.num_replicas_in_sync
    require_equal_shares("batch_size", config.batch_size, replicas)
    precision = hardware.prepare_process(config.precision, config.deterministic, seed_for(config.seed, "process"))
    dataset = dataset or config.dataset.build(config.dataset.name)
    images, held_out = _images(config, dataset)
    data = dataset.train_fingerprint if config.validation else dataset.fingerprint
    if teacher is not None:
        _require_same_data(teacher, data, config.validation > 0)
    require_batches(images, dataset, config.batch_size)
    require_colours(config.augmentation, dataset.train.pixels.shape[-1])
    with _requiring_memory(config), strategy.scope():
        distiller = build_distiller(config, distiller_class, dataset, teacher)
        if replicas > 1:
            distiller.images_per_replica = config.batch_size // replicas
        distiller.prepare(images.labels, config.batch_size)
    jit_compile = hardware.resolve_jit(config.jit_compile, strategy, distiller_class.supports_xla)
    plan = _plan(config, dataset, images, distiller, jit_compile)
    return Parts(config, dataset, images, held_out, data, distiller, plan, precision, replicas)


def _images(config: RunConfig, dataset: ImageDataset) -> tuple[Images, Images]:
    """Returns the images to learn from and those to evaluate on; with `validation` the test set is not read."""
    with naming_classes(dataset.class_names):
        return _divided(config, dataset)


def _divided(config: RunConfig, dataset: ImageDataset) -> tuple[Images, Images]:
    images = take(dataset.train, subset(dataset.train.labels, config.fraction, config.subset_seed))
    if not config.validation:
        return images, dataset.test
    training, validation = hold_out(images.labels, config.validation, config.subset_seed)
    return take(images, training), take(images, validation)


def _require_same_data(teacher: FinishedRun, data: str, training_only: bool) -> None:
    """Checks that the images with this fingerprint are those on which the teacher was trained."""
    setting = teacher.record.setting
    fingerprint = setting.train_data if training_only else setting.data
    if training_only and not fingerprint:
        # Only a warning: the runs of the full protocol, which follow a search, compare all images.
        warn(
            f"warning: {teacher.folder}: an earlier version trained this teacher and stored no fingerprint of the "
            "training images alone, so it is not checked whether this run has the same images."
        )
    elif fingerprint != data:
        raise ConfigError(
            f"dataset: these images (fingerprint {data}) are not those that the teacher in {teacher.folder} "
            f"learned from ({fingerprint}); use the same data, or set another outputs= to train a teacher on these."
        )


@contextlib.contextmanager
def _requiring_memory(config: RunConfig) -> Iterator[None]:
    """Raises `SmallMachineError` if the body builds networks that do not fit into the memory of the device."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as problem:
        operation, _, _ = str(problem).rpartition(" and type")
        raise SmallMachineError(
            f"model={config.model.name}: the networks do not fit into the memory ({operation.partition('}} ')[2]}); "
            "choose smaller ones, or stop other programs that use the device."
        ) from problem


def _plan(config: RunConfig, dataset: ImageDataset, images: Images, distiller: Distiller, jit_compile: bool) -> Plan:
    counted = dataset.train if config.budget == "steps" else images
    work = config.batch_size * (multiply_adds(distiller.deployed) or _MULTIPLY_ADDS_PER_CALL)
    steps_per_call = min(
        _MOST_STEPS_PER_CALL, config.checkpoint_every or _MOST_STEPS_PER_CALL, int(_MULTIPLY_ADDS_PER_CALL / work)
    )
    return Plan(config.epochs, len(counted) // config.batch_size, max(1, steps_per_call), jit_compile)
