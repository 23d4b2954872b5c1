"""What all methods share: the networks, the stages, and the one training step."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from kd_bench.complexity import multiply_adds_of_updates
from kd_bench.config import MAIN_STAGE
from kd_bench.distillers.finite_steps import FiniteSteps
from kd_bench.distillers.tensors import in_float32
from kd_bench.errors import ConfigError

Outputs = dict[str, Any]
"""A network's outputs by name: `logits`, `embedding` and the lists `pre`, `post`, `passed` of feature maps.

All but `logits` can be missing; see `min_points` and `needs_embedding` of `Distiller`.
"""


class Batch:
    """One batch as the networks see it. A network runs when its outputs are first used, and not at all if they are not.

    Attributes:
        images: `[B,H,W,C]` float32, normalised.
        targets: what cross-entropy compares with: the labels, `[B]` int32, or the shares of the classes in each mixed
            image, `[B,K]` float32.
        step: how many steps of the stage are complete, an int64 scalar.
        steps: the stage's length.
        steps_per_epoch: the length of an epoch.
    """

    def __init__(
        self,
        distiller: "Distiller",
        images: tf.Tensor,
        targets: tf.Tensor,
        indices: tf.Tensor,
        step: tf.Tensor,
        steps: int,
        steps_per_epoch: int,
    ) -> None:
        self._distiller = distiller
        self.images = images
        self.targets = targets
        self._indices = indices
        self.step = step
        self.steps = steps
        self.steps_per_epoch = steps_per_epoch
        # Not `cached_property`: before Python 3.12 it holds one lock for all instances. The threads of replicas wait
        # for each other inside the network, and would never end.
        self._student: Outputs | None = None
        self._teacher: Outputs | None = None

    @property
    def labels(self) -> tf.Tensor:
        """The labels, `[B]` int32. A method that uses them sets `supports_mixed_images` to False."""
        self._require_whole_images()
        return self.targets

    @property
    def indices(self) -> tf.Tensor:
        """The index of each image among the run's training images, `[B]` int32. As for `labels`."""
        self._require_whole_images()
        return self._indices

    def _require_whole_images(self) -> None:
        if not self.targets.dtype.is_integer:
            raise ConfigError(
                f"augmentation: {type(self._distiller).__name__} needs the one label of each image, and mixed images "
                "have two; set augmentation.mixup and augmentation.cutmix to 0."
            )

    @property
    def epoch(self) -> tf.Tensor:
        """How many epochs of the stage are complete, a float32 scalar: 0 during the first epoch."""
        return tf.cast(self.step // self.steps_per_epoch, tf.float32)

    @property
    def progress(self) -> tf.Tensor:
        """How much of the stage is complete, a float32 scalar in [0, 1)."""
        return tf.cast(self.step, tf.float32) / self.steps

    @property
    def student(self) -> Outputs:
        """The student's outputs, in training mode."""
        if self._student is None:
            self._student = self._distiller.run_student(self.images)
        return self._student

    @property
    def teacher(self) -> Outputs:
        """The teacher's outputs, in inference mode unless the method overrides `run_teacher`."""
        if self._teacher is None:
            self._teacher = self._distiller.run_teacher(self.images)
        return self._teacher


Loss = Callable[[Batch], tf.Tensor]
Trained: TypeAlias = keras.Layer | keras.Variable
"""A model, layer or variable that learns."""
Gradients = list[tf.Tensor | None]
"""One gradient per variable, in the order of the stage's variables; None if the variable has no effect on the loss."""
CombineGradients = Callable[[dict[str, Gradients], Batch], Gradients]
"""Combines the gradients over the global batch, by the names of their terms, instead of adding them."""


@dataclass(frozen=True)
class Stage:
    """A part of a method's training. Each stage has its own optimizer.

    Attributes:
        name: for records and messages.
        losses: the weighted terms by the names under which they are logged; their sum is minimised. Each is a scalar, a
            mean over the samples of its batch (for other losses see `tensors.py`).
        trained: what is trained; each of its variables must get a gradient.
        share: the stage's length, as a share of the main stage's epochs.
        min_steps: the stage's smallest length in steps, rounded up to whole epochs: the hyper-parameter
            `<name>_min_steps`. For networks that are trained without the student and need this many steps also in a
            short run.
        learning_rate: `stepped`, as in the protocol, or `constant` at its first value.
        learning_rate_scale: factor of the protocol's learning rate.
        no_weight_decay: the variables that weight decay does not change.
        combine_gradients: None for their sum.
    """

    name: str
    losses: Mapping[str, Loss]
    trained: Sequence[Trained]
    share: float = 1.0
    min_steps: int = 0
    learning_rate: Literal["stepped", "constant"] = "stepped"
    learning_rate_scale: float = 1.0
    no_weight_decay: Sequence[keras.Variable] = ()
    combine_gradients: CombineGradients | None = None

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of what is trained."""
        parts = ([part] if isinstance(part, keras.Variable) else part.trainable_variables for part in self.trained)
        return list(itertools.chain.from_iterable(parts))

    @property
    def is_main(self) -> bool:
        """Whether this is the stage that ends with the student."""
        return self.name == MAIN_STAGE


class Distiller(keras.Model):
    """Trains a student, and the networks that a method adds to it.

    A method with one stage says three things: `distillation_loss`; what this reads of the networks, by `min_points` and
    `needs_embedding`; and in its constructor what it trains beside the student, by `trained`. The others are for
    methods that need more.

    Attributes:
        min_points: how many feature points the method needs at least; 0 if it reads no feature maps.
        needs_embedding: whether it reads the embedding.
        trained: its own models, layers and variables, which the main stage trains with what is deployed.
        no_weight_decay: those of its own variables that weight decay does not change in the main stage.
        combine_gradients: of the terms of the main stage; None for their sum.
        network: which architecture of the pair is trained as the student.
        teacher_init: how the teacher starts: `pretrained`, from `scratch`, or None without a teacher. A literal: the
            launcher reads it from the source, to train the teacher first.
        supports_xla: whether XLA makes the step faster; `jit_compile=auto` uses it.
        supports_mixed_images: whether the method can learn from images that have no single label and index. A literal.
        images_per_replica: the size of a replica's share of each batch; None without replicas.
        step_multiply_adds: of one step of the current stage, over all replicas; None before it was traced, and where
            they cannot be counted.
        own_metrics: what a method logs besides its losses.
        effective: the used values of hyper-parameters that are not those of the authors, by name; see `adjust`.
        label_smoothing: the share of each label that cross-entropy spreads evenly over all classes.
        extra_losses: terms that are added to the main stage of any method, such as soft logits beside it.
    """

    min_points: ClassVar[int] = 0
    needs_embedding: ClassVar[bool] = False
    network: ClassVar[Literal["teacher", "student"]] = "student"
    teacher_init: ClassVar[Literal["pretrained", "scratch"] | None] = "pretrained"
    supports_xla: ClassVar[bool] = True
    supports_mixed_images: ClassVar[bool] = True

    def __init__(self, student: keras.Model, teacher: keras.Model | None) -> None:
        super().__init__()
        self.student = student
        self.teacher = teacher
        self.trained: Sequence[Trained] = []
        self.no_weight_decay: Sequence[keras.Variable] = []
        self.combine_gradients: CombineGradients | None = None
        self.stage: Stage | None = None
        self.images_per_replica: int | None = None
        self.step_multiply_adds: int | None = None
        self.own_metrics: list[keras.Metric] = []
        self.effective: dict[str, float | str] = {}
        self.label_smoothing = 0.0
        self.extra_losses: dict[str, Loss] = {}
        if teacher is not None:
            teacher.trainable = False

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the method's weighted term."""
        raise NotImplementedError(f"{type(self).__name__} has neither distillation_loss nor terms.")

    def terms(self) -> dict[str, Loss]:
        """Returns the weighted terms of the main stage, by the names under which they are logged."""
        return {"task": self.task_loss, "distill": self.distillation_loss}

    def stages(self) -> list[Stage]:
        """Returns the stages in their order; the last one is the main stage."""
        return [self.main_stage()]

    def main_stage(self) -> Stage:
        """Returns the stage that minimises the terms, and trains all that is deployed and the method's own parts."""
        return Stage(
            MAIN_STAGE,
            {**self.terms(), **self.extra_losses},
            [self.deployed, *self.trained],
            no_weight_decay=self.no_weight_decay,
            combine_gradients=self.combine_gradients,
        )

    def task_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the cross-entropy of the student with the labels, a mean over the batch."""
        return self.label_loss(batch, batch.student)

    def label_loss(self, batch: Batch, outputs: Outputs) -> tf.Tensor:
        """Returns the cross-entropy of a network's outputs with the labels: smoothed or mixed, as the run says."""
        return cross_entropy(batch.targets, outputs["logits"], self.label_smoothing)

    def adjust(self, name: str, published: float | str, value: float | str) -> None:
        """Uses another value of a hyper-parameter than the published one, and records it if they differ.

        Args:
            name: of the hyper-parameter, and of the attribute that holds it.
            published: the value that the authors use, or that the config gives for networks like theirs.
            value: the one to use.
        """
        setattr(self, name, value)
        if value != published:
            self.effective[name] = value

    def prepare(self, labels: np.ndarray, batch_size: int) -> None:
        """Tells the method about the run's training images, before its stages are made. Most need nothing of it.

        Args:
            labels: of all images, `[N]` integers; `Batch.indices` are those of this array.
            batch_size: of the global batch.
        """

    @property
    def deployed(self) -> keras.Model:
        """The network that is evaluated, counted and saved for the user: the student, or what a method makes of it."""
        return self.student

    @property
    def peer(self) -> keras.Model | None:
        """The network that is trained beside the student and then discarded, or None. The record has its accuracy."""
        return None

    def warnings(self) -> list[str]:
        """Returns a sentence for each problem of the training that has just ended."""
        return []

    def run_student(self, images: tf.Tensor) -> Outputs:
        """Returns the student's outputs in training mode. A method that deploys another network runs that one."""
        return self.student(images, training=True)

    def run_teacher(self, images: tf.Tensor) -> Outputs:
        """Returns the frozen teacher's outputs in inference mode."""
        assert self.teacher is not None, "the method's teacher_init is None"
        return self.teacher(images, training=False)

    def begin(
        self, stage: Stage, optimizer: keras.Optimizer, epochs: int, steps_per_epoch: int, **options: Any
    ) -> None:
        """Makes `fit` train this stage.

        Args:
            stage: one of `stages()`.
            optimizer: a fresh one.
            epochs: the stage's length.
            steps_per_epoch: training steps of an epoch.
            **options: of `keras.Model.compile`.
        """
        self.stage, self.step_multiply_adds = stage, None
        self._epochs, self._steps_per_epoch = epochs, steps_per_epoch
        self._stage_metrics = _StageMetrics(stage)
        if stage.no_weight_decay:
            optimizer.exclude_from_weight_decay(var_list=list(stage.no_weight_decay))
        optimizer.build(stage.variables)
        self.compile(optimizer=optimizer, **options)

    @property
    def metrics(self) -> list[keras.Metric]:
        """The running means of the stage's loss and of its terms, the method's own, and the count of finite steps."""
        return [] if self.stage is None else [*self._logged, self.finite_steps]

    @property
    def finite_steps(self) -> FiniteSteps:
        """The count of the stage's steps whose losses were finite."""
        return self._stage_metrics.finite_steps

    @property
    def _logged(self) -> list[keras.Metric]:
        return [*self._stage_metrics.means.values(), *self.own_metrics]

    @property
    def state(self) -> list[keras.Variable]:
        """All that training changes, in a fixed order: networks, the method's variables, optimizer, running means."""
        teacher = self.teacher
        untouched = [] if teacher is None or teacher.trainable else teacher.variables
        frozen = {id(variable) for variable in untouched}
        networks = [variable for variable in self.variables if id(variable) not in frozen]
        means = [variable for metric in self.metrics for variable in metric.variables]
        return [*networks, *self.optimizer.variables, *means]

    def call(self, images: tf.Tensor, training: bool = False) -> Outputs:
        """Returns the outputs of the network that a user keeps."""
        return self.deployed(images, training=training)

    def train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Does one step of the current stage on a replica's share of the global batch: images, targets and indices."""
        if self.images_per_replica is not None:  # TensorFlow forgets it where it divides a batch between replicas
            data = tuple(tf.ensure_shape(part, [self.images_per_replica, *part.shape[1:]]) for part in data)
        logs = self._track(self.update(data))
        if not tf.executing_eagerly():  # TensorFlow traces the step, once a stage
            self.step_multiply_adds = multiply_adds_of_updates(tf.compat.v1.get_default_graph())
        return logs

    def update(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Changes the variables by one step; returns the loss and its terms, a scalar each."""
        assert self.stage is not None
        watched = [variable.value for variable in self.stage.variables]
        # The tape watches only what the stage trains, so that it records nothing of a frozen teacher.
        with tf.GradientTape(
            watch_accessed_variables=False, persistent=self.stage.combine_gradients is not None
        ) as tape:
            tape.watch(watched)
            batch = self._batch(*data)
            terms = {name: loss(batch) for name, loss in self.stage.losses.items()}
            total = tf.add_n(list(terms.values()))
            scaled = {name: self._scaled(term) for name, term in {"loss": total, **terms}.items()}
        if self.stage.combine_gradients is None:
            gradients = tape.gradient(scaled["loss"], watched)
        else:
            term_gradients = {name: self._sum_over_replicas(tape.gradient(scaled[name], watched)) for name in terms}
            gradients = self._per_replica(self.stage.combine_gradients(term_gradients, batch))
        _require_gradients(self.stage, gradients)
        self.optimizer.apply(gradients, self.stage.variables)
        return {"loss": total, **terms}

    def _batch(self, images: tf.Tensor, targets: tf.Tensor, indices: tf.Tensor) -> Batch:
        step = tf.cast(self.optimizer.iterations.value, tf.int64)
        return Batch(self, images, targets, indices, step, self._epochs * self._steps_per_epoch, self._steps_per_epoch)

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        # The optimizer sums the gradients of the replicas; in float16 it also scales them.
        return self.optimizer.scale_loss(loss / self.distribute_strategy.num_replicas_in_sync)

    def _sum_over_replicas(self, gradients: Gradients) -> Gradients:
        present = [gradient for gradient in gradients if gradient is not None]
        context = tf.distribute.get_replica_context()
        reduced = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present) if present else [])
        return [None if gradient is None else next(reduced) for gradient in gradients]

    def _per_replica(self, gradients: Gradients) -> Gradients:
        replicas = self.distribute_strategy.num_replicas_in_sync
        return [None if gradient is None else gradient / replicas for gradient in gradients]

    def _track(self, values: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        for name, value in values.items():
            self._stage_metrics.means[name].update_state(value)
        self.finite_steps.update_state(tf.stack([values[name] for name in self.finite_steps.terms]))
        return {metric.name: metric.result() for metric in self._logged}


class _StageMetrics:
    """A stage's running means and its count of finite steps.

    It is not a Keras object: on several replicas `fit` builds the model in its first stage, and a built Keras model
    must not get new variables in its second stage.
    """

    def __init__(self, stage: Stage) -> None:
        self.means = {name: keras.metrics.Mean(name=name) for name in ("loss", *stage.losses)}
        self.finite_steps = FiniteSteps(list(stage.losses))


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor, label_smoothing: float = 0.0) -> tf.Tensor:
    """Returns the mean over the batch of `-log softmax(logits)[label]`, or of its mean by the shares of the classes.

    Args:
        targets: labels `[B]`, integers, or shares of the classes `[B,K]`.
        logits: `[B,K]`.
        label_smoothing: s; the targets become (1 - s) * targets + s / K.
    """
    logits = in_float32(logits)
    if targets.dtype.is_integer:
        if not label_smoothing:
            return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
        targets = tf.one_hot(targets, logits.shape[-1])
    options = {"from_logits": True, "label_smoothing": label_smoothing}
    return tf.reduce_mean(keras.losses.categorical_crossentropy(targets, logits, **options))


def _require_gradients(stage: Stage, gradients: Sequence[tf.Tensor | None]) -> None:
    without = [variable.path for variable, gradient in zip(stage.variables, gradients, strict=True) if gradient is None]
    if without:
        raise RuntimeError(
            f"stage {stage.name}: no loss reaches {', '.join(without)}; leave them out of its variables."
        )
