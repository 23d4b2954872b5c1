"""KD-EID: KD-SVD with the singular vectors from an eigendecomposition of the smaller Gram matrix, for speed.

Lee, Kim, Song, ECCV 2018, arXiv:1807.06819; the eigendecomposition is from the authors' TF1 repository (2019) and in no
paper. Value and gradient are those of KD-SVD. The TF1 repository decomposes some shapes in another way: there, maps
with nearly as many positions as channels have no gradient. Here all shapes are decomposed in the same way.
"""

from kd_bench.distillers.kd_svd import KDSVD


class KDEID(KDSVD):
    """One stage, as in KD-SVD: cross-entropy + weight * kd_svd_loss, by clipped gradients."""

    decomposition = "eid"
