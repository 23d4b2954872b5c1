"""KD-EID: KD-SVD with the singular vectors from an eigendecomposition of the smaller Gram matrix, for speed.

Lee, Kim, Song, ECCV 2018, arXiv:1807.06819; the eigendecomposition is from the authors' TF1 repository (2019) and in no
paper. Value and gradient are those of KD-SVD. The TF1 repository decomposes some shapes in another way: there, maps
with nearly as many positions as channels have no gradient. Here all shapes are decomposed in the same way.
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
    """Returns the squared difference of the relations of consecutive points, a sum over all entries and samples.

    Args:
        student_features: `[B,H,W,D]` each, shallow to deep; at least two.
        teacher_features: the same number, with the same channels and any size; get no gradient.
        k: singular vectors of the teacher.
        extra: how many more than k of the student's vectors are compared with the teacher's.
        beta: of the relation exp(-(deep_i - shallow_j)**2 / beta).
        signs: of the last point's vectors.

    Raises:
        ConfigError: a map has fewer than k singular vectors.
        ValueError: channels differ.
    """
    return kd_svd_loss(student_features, teacher_features, k, extra, beta, "eid", signs)


class KDEID(KDSVD):
    """One stage, as in KD-SVD: cross-entropy + weight * kd_eid_loss on the `post` maps of all groups, clipped."""

    decomposition = "eid"
