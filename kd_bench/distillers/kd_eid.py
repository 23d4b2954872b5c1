"""KD-EID: KD-SVD with the singular vectors from an eigendecomposition of the smaller Gram matrix, for speed.

Lee, Kim, Song, ECCV 2018, arXiv:1807.06819; the eigendecomposition is of the authors' TF1 repository (2019) and in no
paper. As a function of the features it is KD-SVD, value and gradient. Unlike the TF1 repository, no shape is
decomposed by another path: there, maps of nearly as many positions as channels had no gradient.
"""

from collections.abc import Sequence

import tensorflow as tf

from kd_bench.distillers.kd_svd import KDSVD, Signs, kd_svd_loss


def kd_eid_loss(
    student_features: Sequence[tf.Tensor],
    teacher_features: Sequence[tf.Tensor],
    k: int = 1,
    extra: int = 3,
    beta: float = 8.0,
    signs: Signs = "equal",
) -> tf.Tensor:
    """Returns the squared difference of the relations of consecutive points, a sum over everything, the batch too.

    Args:
        student_features: `[B,H,W,D]` each, shallow to deep; at least two.
        teacher_features: as many, of the same channels and of any size; get no gradient.
        k: singular vectors of the teacher.
        extra: the student's beyond k, among which the teacher's are looked for.
        beta: of the relation exp(-(deep_i - shallow_j)**2 / beta).
        signs: of the last point's vectors.

    Raises:
        ConfigError: a map has fewer than k singular vectors.
        ValueError: channels differ.
    """
    return kd_svd_loss(student_features, teacher_features, k, extra, beta, "eid", signs)


class KDEID(KDSVD):
    """One stage, that of KD-SVD: cross-entropy + weight * kd_eid_loss on the `post` maps of all groups, clipped."""

    decomposition = "eid"
