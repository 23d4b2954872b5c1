import keras
import numpy as np
import pytest

from kd_bench.complexity import multiply_adds
from kd_bench.errors import ConfigError
from kd_bench.networks.resnet import resnet
from kd_bench.training.saving import save_network


def build(depth, width=1, shape=(32, 32, 3), classes=10, channels=16, stride=1, shortcut="projection"):
    sizes = {"depth": depth, "width": width, "stem_channels": channels, "stem_stride": stride}
    return resnet(shape, classes, **sizes, shortcut=shortcut)


def parameters(network):
    return sum(np.prod(variable.shape) for variable in network.trainable_variables)


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (56, 0.85)])
def test_parameters_are_those_of_the_paper(depth, millions):
    # Table 6 of the paper, CIFAR-10, shortcuts without parameters.
    assert parameters(build(depth, shortcut="padding")) / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize(
    ("depth", "width", "channels", "count"),
    [(20, 1, 16, 278_324), (56, 1, 16, 861_620), (8, 2, 32, 1_233_540), (32, 2, 32, 7_433_860)],
)
def test_parameters_are_those_of_the_benchmarks(depth, width, channels, count):
    # ResNet-20, -56, -8x4 and -32x4 on CIFAR-100, as RepDistiller and mdistiller have them: 0.28, 0.86, 1.23, 7.43 M.
    assert parameters(build(depth, width, classes=100, channels=channels)) == count


def test_outputs_by_name():
    outputs = build(8, 2, classes=100, channels=32).output
    assert outputs["logits"].shape == (None, 100)
    assert outputs["embedding"].shape == (None, 256)
    expected = [(None, 32, 32, 64), (None, 16, 16, 128), (None, 8, 8, 256)]
    for point in ("pre", "post", "passed"):
        assert [tensor.shape for tensor in outputs[point]] == expected


@pytest.mark.parametrize("shortcut", ["projection", "padding"])
def test_points_are_of_one_forward_pass(generator, shortcut):
    network = build(14, shape=(8, 8, 1), channels=4, shortcut=shortcut)
    outputs = network(generator.normal(size=(4, 8, 8, 1)), training=True)
    for pre, post, passed in zip(outputs["pre"], outputs["post"], outputs["passed"], strict=True):
        np.testing.assert_array_equal(post, np.maximum(pre, 0))
        np.testing.assert_array_equal(passed, post)
        assert np.min(pre) < 0
    np.testing.assert_allclose(outputs["embedding"], np.mean(outputs["post"][-1], axis=(1, 2)), rtol=1e-5)


def branch_norm(point):
    """The batch norm that the module's docstring promises: the last input of the sum."""
    total = point._keras_history.operation
    assert isinstance(total, keras.layers.Add)
    return total.input[-1]._keras_history.operation


@pytest.mark.parametrize("depth", [8, 14])
def test_the_batch_norm_of_a_point_is_the_residual_branchs(generator, depth):
    network = build(depth, shape=(8, 8, 1), channels=4, shortcut="padding")
    norms = [branch_norm(point) for point in network.output["pre"]]
    assert all(isinstance(norm, keras.layers.BatchNormalization) for norm in norms)
    # Of a block without projection that norm's gamma and beta are all that its branch adds: at 0 and 1 it adds ones.
    block_input = norms[-1].output if depth == 8 else network.output["post"][1]
    norms[-1].gamma.assign(0 * norms[-1].gamma)
    norms[-1].beta.assign(0 * norms[-1].beta + 1)
    probe = keras.Model(network.input, [block_input, network.output["pre"][-1]])
    before, total = (np.array(output) for output in probe(generator.normal(size=(2, 8, 8, 1))))
    if depth == 8:
        np.testing.assert_array_equal(before, np.ones_like(before))
    assert np.min(total) >= 1


def test_a_padding_shortcut_keeps_every_second_pixel_and_adds_channels_of_zeros(generator):
    network = build(8, shape=(8, 8, 1), channels=4, shortcut="padding")
    for point in network.output["pre"]:
        branch_norm(point).gamma.assign(np.zeros(point.shape[-1]))
    outputs = network(generator.normal(size=(2, 8, 8, 1)))
    for shallow, deep in zip(outputs["post"][:-1], outputs["pre"][1:], strict=True):
        kept = np.array(shallow)[:, ::2, ::2]
        np.testing.assert_array_equal(deep, np.concatenate([kept, np.zeros_like(kept)], axis=-1))


def test_a_projection_of_the_shape_starts_every_group_that_needs_one():
    def projections(network):
        convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
        return sum(layer.kernel_size == (1, 1) for layer in convolutions)

    assert projections(build(20)) == 2
    assert projections(build(8, 2, channels=32)) == 3
    assert projections(build(20, shortcut="padding")) == 0


def test_stem_stride_and_channels():
    outputs = build(8, shape=(28, 28, 1), channels=8, stride=2).output
    assert [tensor.shape[1:] for tensor in outputs["post"]] == [(14, 14, 8), (7, 7, 16), (4, 4, 32)]


def test_multiply_adds_of_resnet_20():
    # stem 27*16; groups of six convolutions at 32, 16 and 8 pixels, the first of groups 2 and 3 from half the channels;
    # a projection each; 10 classes: the 41 M of the literature.
    group1 = 1024 * 6 * 9 * 16 * 16
    group2 = 256 * (16 * 32 + 9 * 16 * 32 + 5 * 9 * 32 * 32)
    group3 = 64 * (32 * 64 + 9 * 32 * 64 + 5 * 9 * 64 * 64)
    assert multiply_adds(build(20)) == 1024 * 432 + group1 + group2 + group3 + 640


# Keras 3.15 saves a variable by np.array(), for which TensorFlow's lacks NumPy 2's keyword.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("shortcut", ["projection", "padding"])
def test_a_saved_network_is_the_same_network(generator, tmp_path, shortcut):
    network = build(8, shape=(8, 8, 1), channels=4, shortcut=shortcut)
    save_network(tmp_path / "network.keras", network, np.float32([2]), np.float32([3]))
    images = generator.normal(size=(2, 8, 8, 1)).astype(np.float32)
    loaded = keras.models.load_model(tmp_path / "network.keras")(3 * images + 2)
    np.testing.assert_allclose(loaded, network(images)["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth", [2, 10, 18, 57])
def test_a_depth_that_is_no_resnet_is_refused(depth):
    with pytest.raises(ConfigError, match=f"depth={depth}"):
        build(depth)
