"""What a run needs before its first step: data, networks, distiller, plan, batches, callbacks."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kd_bench.config.schema import RunConfig, TeacherFile, require_equal_shares
from kd_bench.data.augmentation import require_colours
from kd_bench.data.batches import evaluation_batches, normalise, require_batches, training_batches
from kd_bench.data.fractions import hold_out, subset, take
from kd_bench.data.images import ImageDataset, Images
from kd_bench.distillers.base import Distiller, Stage
from kd_bench.distillers.soft_logits import soft_logits_term
from kd_bench.errors import ConfigError
from kd_bench.networks.complexity import multiply_adds
from kd_bench.pair import build_network, require_equally_many_points, require_outputs
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import Record
from kd_bench.seeds import seed_for
from kd_bench.training import hardware
from kd_bench.training.evaluation import Evaluator
from kd_bench.training.loading import load_model, load_teacher, require_no_probabilities
from kd_bench.training.loop import Plan
from kd_bench.training.saving import load_weights

_EVALUATION_BATCH = 500
_MOST_STEPS_PER_CALL = 32
_MULTIPLY_ADDS_PER_CALL = 2e11
"""Limit on the student's forward multiply-adds per compiled call. It keeps a call to a few seconds; signals are handled
only between calls."""


@dataclass(frozen=True)
class Teacher:
    """A trained teacher: the folder and the record of the run that trained it, or evaluated it if it is in a file."""

    folder: RunFolder
    record: Record

    @property
    def checksum(self) -> str:
        """The checksum of its network."""
        return self.record.files[self.folder.network.name]


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
        batches = evaluation_batches(self.held_out, self.dataset, batch_size=_EVALUATION_BATCH)
        return Evaluator(network, batches, self.held_out.labels)


def build(config: RunConfig, teacher: Teacher | None) -> Parts:
    """Prepares the process, and reads and builds what the run needs.

    Args:
        config: the config of the run.
        teacher: the trained teacher, if the method has one.

    Raises:
        ConfigError, DataError: the config asks for something impossible; the message names the key to change.
        DamageError: the saved network of the teacher does not fit this run's teacher.
    """
    kind: type[Distiller] = config.method.load()
    strategy = config.hardware.build()
    replicas = strategy.num_replicas_in_sync
    require_equal_shares("batch_size", config.batch_size, replicas)
    precision = hardware.prepare_process(config.precision, config.deterministic, seed_for(config.seed, "process"))
    dataset: ImageDataset = config.dataset.build(config.dataset.name)
    images, held_out = _images(config, dataset)
    data = dataset.train_fingerprint if config.validation else dataset.fingerprint
    if teacher is not None:
        _require_same_data(teacher, data, config.validation > 0)
    require_batches(images, dataset, config.batch_size)
    require_colours(config.augmentation, dataset.train.pixels.shape[-1])
    with _requiring_memory(config), strategy.scope():
        distiller = _distiller(config, kind, dataset, teacher)
        distiller.prepare(images.labels, config.batch_size)
    jit_compile = hardware.resolve_jit(config.jit_compile, strategy, kind.supports_xla)
    plan = _plan(config, dataset, images, distiller, jit_compile)
    return Parts(config, dataset, images, held_out, data, distiller, plan, precision, replicas)


def _images(config: RunConfig, dataset: ImageDataset) -> tuple[Images, Images]:
    """Returns the images to learn from and those to evaluate on; with `validation` the test set is not read."""
    images = take(dataset.train, subset(dataset.train.labels, config.fraction, config.subset_seed))
    if not config.validation:
        return images, dataset.test
    training, validation = hold_out(images.labels, config.validation, config.subset_seed)
    return take(images, training), take(images, validation)


def _require_same_data(teacher: Teacher, data: str, training_only: bool) -> None:
    """Checks that the images with this fingerprint are those on which the teacher was trained."""
    setting = teacher.record.setting
    known = setting.train_data if training_only else setting.data
    if training_only and not known:
        # Only a warning: the runs of the full protocol, which follow a search, compare all images.
        print(
            f"warning: {teacher.folder}: an earlier version trained this teacher and stored no fingerprint of the "
            "training images alone, so it is not checked whether this run has the same images.",
            file=sys.stderr,
            flush=True,
        )
    elif known != data:
        raise ConfigError(
            f"dataset: these images (fingerprint {data}) are not those that the teacher in {teacher.folder} "
            f"learned from ({known}); use the same data, or set another outputs= to train a teacher on these."
        )


@contextlib.contextmanager
def _requiring_memory(config: RunConfig) -> Iterator[None]:
    """Raises `ConfigError` if the body builds networks that do not fit into the memory of the device."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as problem:
        what, _, _ = str(problem).rpartition(" and type")
        raise ConfigError(
            f"model={config.model.name}: the networks do not fit into the memory ({what.partition('}} ')[2]}); "
            "choose smaller ones, or stop other programs that use the device."
        ) from problem


def _distiller(config: RunConfig, kind: type[Distiller], dataset: ImageDataset, trained: Teacher | None) -> Distiller:
    """Builds the networks and the distiller. For one seed, the students of all methods start from the same weights."""
    teacher = None if config.teacher_init is None else _teacher(config, kind, dataset, trained)
    student = _student(config, kind, dataset)
    if teacher is not None:
        require_equally_many_points(config, kind, teacher, student)
    keras.utils.set_random_seed(seed_for(config.seed, "method"))
    distiller: Distiller = config.method.build(student, teacher)
    distiller.label_smoothing = config.label_smoothing
    if config.kd_weight:
        distiller.extra_losses["kd"] = soft_logits_term(config.kd_weight, config.kd_temperature)
    return distiller


def _student(config: RunConfig, kind: type[Distiller], dataset: ImageDataset) -> keras.Model:
    """Returns the network to train; for a teacher in a file, the network to evaluate."""
    if config.evaluated:
        network = _from_file(config.evaluated, Path(config.evaluated.path), dataset)
        some = dataset.train.read(np.arange(min(len(dataset.train), _EVALUATION_BATCH)))
        require_no_probabilities(network(normalise(some, dataset.mean, dataset.std))["logits"])
        return network
    return build_network(config, kind, kind.network, dataset, seed_for(config.seed, "initialisation"))


def _teacher(config: RunConfig, kind: type[Distiller], dataset: ImageDataset, trained: Teacher | None) -> keras.Model:
    """Returns the teacher with the weights of its run; without a run, a fresh network of its architecture."""
    if config.teacher_run() is not None and isinstance(config.teacher, TeacherFile):
        path = trained.folder.network if trained is not None else Path(config.teacher.path)
        network = _from_file(config.teacher, path, dataset)
        require_outputs(config, kind, "teacher", network, lambda: load_model(path))
        return network
    network = build_network(config, kind, "teacher", dataset, seed_for(config.seed, "peer"))
    if trained is not None:
        load_weights(trained.folder.network, network)
    return network


def _from_file(teacher: TeacherFile, path: Path, dataset: ImageDataset) -> keras.Model:
    sizes = dataset.train.pixels.shape[1:], dataset.num_classes
    return load_teacher(path, *sizes, dataset.mean, dataset.std, teacher.normalisation, **teacher.layers)


def _plan(config: RunConfig, dataset: ImageDataset, images: Images, distiller: Distiller, jit_compile: bool) -> Plan:
    counted = dataset.train if config.budget == "steps" else images
    work = config.batch_size * (multiply_adds(distiller.deployed) or _MULTIPLY_ADDS_PER_CALL)
    most = min(
        _MOST_STEPS_PER_CALL, config.checkpoint_every or _MOST_STEPS_PER_CALL, int(_MULTIPLY_ADDS_PER_CALL / work)
    )
    return Plan(config.epochs, len(counted) // config.batch_size, max(1, most), jit_compile)
