"""KD-SVD: Lee, Kim, Song, "Self-supervised Knowledge Distillation Using Singular Value Decomposition", ECCV 2018.

arXiv:1807.06819. Each map is compressed to its top right singular vectors. The student's vectors are aligned to the
teacher's. Two consecutive points are related by a Gaussian of the differences of their entries. The student matches the
teacher's relations, by a gradient that is never larger than that of the task.

It follows the authors' cleaned code (TF1 repository) except for its gradient, which has a wrong direction for maps with
fewer positions than channels: see `singular_vectors.py`. RepDistiller and mdistiller take the mean over the batch and
do not clip (`clip=none`).

The sign of a singular vector is arbitrary, but a relation depends on it. The libraries that the authors' code calls
return opposite signs at two consecutive points, which makes the loss far larger (docs/methods/kd_svd.md).
`signs=opposite` reproduces this by a rule: it negates the last point.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import keras
import tensorflow as tf

from kd_bench.checks import NonNegative, NonNegativeInt, Positive, PositiveInt
from kd_bench.distillers.base import Batch
from kd_bench.distillers.connectors import Ending
from kd_bench.distillers.gradient_clip import Clip, ClippedDistiller
from kd_bench.distillers.singular_vectors import Decomposition, distilled_vectors, relation_loss, require_vectors
from kd_bench.distillers.tensors import summed_over_batch

Signs = Literal["equal", "opposite"]
"""The sign of the teacher's vectors at the last point: as at the other points (sum at least 0), or opposite."""


def kd_svd_loss(
    student_features: Sequence[tf.Tensor],
    teacher_features: Sequence[tf.Tensor],
    k: int = 1,
    extra: int = 3,
    beta: float = 8.0,
    decomposition: Decomposition = "svd",
    signs: Signs = "equal",
) -> tf.Tensor:
    """Returns the squared difference of the relations of consecutive points, a sum over all entries and samples.

    Args:
        student_features: `[B,H,W,D]` each, shallow to deep; at least two.
        teacher_features: the same number, with the same channels and any size; get no gradient.
        k: singular vectors of the teacher.
        extra: how many more than k of the student's vectors are compared with the teacher's.
        beta: of the relation exp(-(deep_i - shallow_j)**2 / beta).
        decomposition: `svd`, or `eid`, which is KD-EID.
        signs: of the last point's vectors.

    Raises:
        ConfigError: a map has fewer than k singular vectors.
        ValueError: channels differ.
    """
    students, teachers = distilled_vectors(student_features, teacher_features, k, extra, decomposition)
    if signs == "opposite":
        students[-1], teachers[-1] = -students[-1], -teachers[-1]
    return relation_loss(students, teachers, beta)


class KDSVD(ClippedDistiller):
    """One stage: cross-entropy + weight * kd_svd_loss on the `post` maps of all points, by clipped gradients.

    Where channels differ, a connector follows the student's map: 1x1 convolution, batch norm, and a ReLU unless
    `connector` is linear. The clip does not apply to it.
    """

    decomposition: ClassVar[Decomposition] = "svd"

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        k: PositiveInt,
        extra: NonNegativeInt,
        beta: Positive,
        signs: Signs,
        connector: Ending,
        clip: Clip,
        weight: NonNegative,
    ) -> None:
        super().__init__(student, teacher, connector, clip, weight)
        self.k = k
        self.extra = extra
        self.beta = beta
        self.adjust("signs", "equal", signs)
        require_vectors(f"KD-{self.decomposition.upper()}", [*student.output["post"], *teacher.output["post"]], k)

    def distillation_loss(self, batch: Batch) -> tf.Tensor:
        """Returns the weighted difference of the relations, a sum over the global batch."""
        maps = self.student_maps(batch)
        teacher_maps = batch.teacher["post"]
        loss = kd_svd_loss(maps, teacher_maps, self.k, self.extra, self.beta, self.decomposition, self.signs)
        return self.weight * summed_over_batch(loss)
