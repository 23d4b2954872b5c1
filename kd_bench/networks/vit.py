"""Vision transformers: Dosovitskiy et al., ICLR 2021, arXiv:2010.11929.

In the form of DeiT (Touvron et al., ICML 2021, arXiv:2012.12877): DeiT-Ti has patches of 16x16 pixels, 12 blocks,
3 heads and tokens of 192 numbers.

A block normalises its input before attention, and again before two dense layers, and adds both results to it. The class
token's output, normalised, is the embedding. There is no dropout and no stochastic depth.

The embedding of patches, the class token and the embeddings of positions are one layer here: a dense layer on the
patches with a bias of its own for each position, which reads zeros for the class token. It is the same function, with
two vectors less to learn, because a sum of biases is a bias.

The feature points are ends of blocks: the tokens of the patches as a map `[B,h,w,D]`, h = H / patch. It has negative
values, and no batch norm is near: `pre`, `post` and `passed` are the same map. All points have one size, as a network
without strides has them.
"""

from typing import Any

import keras

from kd_bench.checks import PositiveInt
from kd_bench.errors import ConfigError
from kd_bench.layers import classifier
from kd_bench.networks.points import require_points

_EPSILON = 1e-6
_DEVIATION = 0.02
"""Of the initial values, as in DeiT's code."""


def vit(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    patch: PositiveInt,
    width: PositiveInt,
    depth: PositiveInt,
    heads: PositiveInt,
    mlp_ratio: PositiveInt,
    points: list[PositiveInt],
) -> keras.Model:
    """Builds a vision transformer.

    Args:
        input_shape: height, width and channels of an image.
        num_classes: the size of the logits.
        patch: height and width of a patch; it divides those of the image.
        width: D, the length of a token.
        depth: the number of blocks.
        heads: of the attention; they divide the width.
        mlp_ratio: the dense layer inside a block has so many times the width.
        points: the blocks that end in a feature point, counted from 1.

    Returns:
        A functional model from images `[B,H,W,C]` to `logits [B,K]`, `embedding [B,D]` and the lists `pre`, `post`
        and `passed`, one `[B,h,w,D]` for each of `points`, all the tokens of the patches.

    Raises:
        ConfigError: the patch does not divide the image, the heads do not divide the width, or there is no such block.
    """
    require_points(points, depth)
    if any(side % patch for side in input_shape[:2]):
        raise ConfigError(f"patch={patch}: must divide the images' size, {input_shape[0]}x{input_shape[1]}.")
    if width % heads:
        raise ConfigError(f"heads={heads}: must divide width={width}.")
    images = keras.Input(input_shape)
    rows, columns = (side // patch for side in input_shape[:2])
    tokens, maps = _tokens(images, patch, width), []
    for block in range(1, depth + 1):
        tokens = _block(tokens, heads, mlp_ratio)
        if block in points:
            patches = keras.layers.Cropping1D((1, 0))(tokens)
            maps.append(keras.layers.Reshape((rows, columns, width))(patches))
    of_class = keras.layers.Flatten()(keras.layers.Cropping1D((0, rows * columns))(tokens))
    embedding = keras.layers.LayerNormalization(epsilon=_EPSILON)(of_class)
    features = {kind: list(maps) for kind in ("pre", "post", "passed")}
    return keras.Model(images, {"logits": classifier(num_classes)(embedding), "embedding": embedding, **features})


def _tokens(images: keras.KerasTensor, patch: int, width: int) -> keras.KerasTensor:
    """Returns the class token and one token of each patch, `[B,1+hw,D]`."""
    height, breadth, channels = images.shape[1:]
    rows, columns = height // patch, breadth // patch
    parts = keras.layers.Reshape((rows, patch, columns, patch, channels))(images)
    patches = keras.layers.Permute((1, 3, 2, 4, 5))(parts)
    flat = keras.layers.Reshape((rows * columns, patch * patch * channels))(patches)
    shape = (1 + rows * columns, width)
    layer = keras.layers.EinsumDense("bnp,pd->bnd", shape, bias_axes="nd", **_initial(bias=True))
    return layer(keras.layers.ZeroPadding1D((1, 0))(flat))


def _block(tokens: keras.KerasTensor, heads: int, mlp_ratio: int) -> keras.KerasTensor:
    width = tokens.shape[-1]
    normed = keras.layers.LayerNormalization(epsilon=_EPSILON)(tokens)
    attention = keras.layers.MultiHeadAttention(heads, width // heads, **_initial())
    tokens = keras.layers.Add()([tokens, attention(normed, normed)])
    normed = keras.layers.LayerNormalization(epsilon=_EPSILON)(tokens)
    inner = keras.layers.Activation("gelu")(keras.layers.Dense(mlp_ratio * width, **_initial())(normed))
    return keras.layers.Add()([tokens, keras.layers.Dense(width, **_initial())(inner)])


def _initial(bias: bool = False) -> dict[str, Any]:
    """Returns the initialisers of a layer: normal numbers without those of more than two deviations."""
    names = ("kernel_initializer", "bias_initializer") if bias else ("kernel_initializer",)
    return {name: keras.initializers.TruncatedNormal(stddev=_DEVIATION) for name in names}
