"""DML: Zhang, Xiang, Hospedales, Lu, "Deep Mutual Learning", CVPR 2018, arXiv:1706.00384.

There is no trained teacher. The student and a peer with the teacher's architecture start from scratch. Each adds to its
cross-entropy the divergence of its prediction from the current prediction of the other. The peer is then discarded.

The paper updates one network after the other on each mini-batch (`sequential=true`). The default updates both at once
from one forward pass each; the difference is of second order in the learning rate. In the paper each network has its
own optimizer. SGD and Adam update each entry separately, so one optimizer for both networks is equivalent. The TF2
repository starts from the trained teacher, with temperature 5 and half the weights, which is another method.
"""

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, Positive
from kd_bench.distillers.base import Batch, Distiller, Loss, Outputs
from kd_bench.distillers.soft_logits import kl_divergence
from kd_bench.distillers.tensors import constant, in_float32, require_same_shape


def mutual_learning_loss(logits: tf.Tensor, peer_logits: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
    """Returns T**2 * KL(softmax(peer / T) || softmax(own / T)), a mean over the batch.

    Args:
        logits: of the network that learns, `[B,K]`.
        peer_logits: `[B,K]`; get no gradient. Exchange the two for the peer's loss.
        temperature: T, above 0; 1 in the paper.

    Raises:
        ValueError: the shapes differ.
    """
    logits, peer_logits = in_float32(logits), constant(peer_logits)
    require_same_shape("mutual_learning_loss", logits, peer_logits)
    return temperature**2 * kl_divergence(peer_logits / temperature, logits / temperature)


class DeepMutualLearning(Distiller):
    """One stage: cross-entropy + weight * mutual_learning_loss, for the student and for its peer."""

    teacher_init = "scratch"

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        temperature: Positive,
        weight: NonNegative,
        sequential: bool,
    ) -> None:
        super().__init__(student, teacher)
        self.temperature = temperature
        self.weight = weight
        self.sequential = sequential
        self.trained = [teacher]
        teacher.trainable = True

    @property
    def peer(self) -> keras.Model:
        """The network of the teacher's architecture."""
        return self.teacher

    def terms(self) -> dict[str, Loss]:
        """Returns the terms of both networks."""
        return {**super().terms(), "peer_task": self.peer_task_loss, "peer_distill": self.peer_distillation_loss}

    def run_teacher(self, images: tf.Tensor) -> Outputs:
        """Returns the peer's outputs in training mode, because the peer learns too."""
        return self.peer(images, training=True)

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the student's weighted divergence from its peer."""
        return self._divergence(batch.student, batch.teacher)

    def peer_task_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the cross-entropy of the peer with the labels."""
        return self.label_loss(batch, batch.teacher)

    def peer_distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the peer's weighted divergence from the student."""
        return self._divergence(batch.teacher, batch.student)

    def _divergence(self, outputs: Outputs, target: Outputs) -> tf.Tensor:
        return self.weight * mutual_learning_loss(outputs["logits"], target["logits"], self.temperature)

    def update(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Updates both networks at once or, if `sequential`, the student first (the paper's order)."""
        if not self.sequential:
            return super().update(data)
        assert self.stage is not None
        step = tf.identity(self.optimizer.iterations.value)
        with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
            tape.watch([variable.value for variable in self.stage.variables])
            batch = self._batch(*data)
            student_terms = {"task": self.task_loss(batch), "distill": self.distillation_loss(batch)}
            self._apply(tape, self.student, student_terms)
            # Both updates are one step of the schedule.
            self.optimizer.iterations.assign(step)
            divergence = self._divergence(batch.teacher, self._updated_student(batch.images))
            peer_terms = {"peer_task": self.peer_task_loss(batch), "peer_distill": divergence}
            self._apply(tape, self.peer, peer_terms)
        terms = student_terms | peer_terms
        return {"loss": tf.add_n(list(terms.values())), **terms}

    def _apply(self, tape: tf.GradientTape, network: keras.Model, terms: dict[str, tf.Tensor]) -> None:
        scaled = self._scaled(tf.add_n(list(terms.values())))
        variables = network.trainable_variables
        with tape.stop_recording():
            self.optimizer.apply(tape.gradient(scaled, [variable.value for variable in variables]), variables)

    def _updated_student(self, images: tf.Tensor) -> Outputs:
        """Returns the student's outputs by batch statistics. The batch changes the moving statistics only once."""
        trained, kept = self.student.trainable_variables, self.student.non_trainable_variables
        return self.student.stateless_call(trained, kept, images, training=True)[0]
