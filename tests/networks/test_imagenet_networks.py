"""The networks for ImageNet compute, with PyTorch's weights, what NumPy computes by the definitions of torchvision."""

import numpy as np
import pytest
from helpers.pytorch import tensor

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError
from kd_bench.networks.pytorch_modules import modules_of
from kd_bench.networks.unrolled import names_from_the_start
from kd_bench.training.state_dict import load_state_dict, state_dict

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
MOBILENET = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
PARAMETERS = {
    "resnet18_imagenet": 11_689_512,
    "resnet34_imagenet": 21_797_672,
    "resnet50_imagenet": 25_557_032,
    "mobilenet": 4_231_976,
}
"""Of torchvision's networks, and of mdistiller's MobileNetV1."""


def norm_shapes(name, channels):
    yield from ((f"{name}.{part}", (channels,)) for part in ("weight", "bias", "running_mean", "running_var"))
    yield f"{name}.num_batches_tracked", ()


def resnet_shapes(depth):
    """Yields the names and shapes of torchvision's state dict."""
    yield "conv1.weight", (64, 3, 7, 7)
    yield from norm_shapes("bn1", 64)
    before = 64
    for group, blocks in enumerate(BLOCKS[depth]):
        width = 64 * 2**group
        kernels = [(width, 1), (width, 3), (4 * width, 1)] if depth >= 50 else [(width, 3), (width, 3)]
        for block in range(blocks):
            place, read = f"layer{group + 1}.{block}", before
            for number, (channels, kernel) in enumerate(kernels, start=1):
                yield f"{place}.conv{number}.weight", (channels, read, kernel, kernel)
                yield from norm_shapes(f"{place}.bn{number}", channels)
                read = channels
            if block == 0 and before != read:
                yield f"{place}.downsample.0.weight", (read, before, 1, 1)
                yield from norm_shapes(f"{place}.downsample.1", read)
            before = read
    yield from (("fc.weight", (1000, before)), ("fc.bias", (1000,)))


def mobilenet_shapes():
    yield "model.0.0.weight", (32, 3, 3, 3)
    yield from norm_shapes("model.0.1", 32)
    before = 32
    for block, (channels, _) in enumerate(MOBILENET, start=1):
        yield f"model.{block}.0.weight", (before, 1, 3, 3)
        yield from norm_shapes(f"model.{block}.1", before)
        yield f"model.{block}.3.weight", (channels, before, 1, 1)
        yield from norm_shapes(f"model.{block}.4", channels)
        before = channels
    yield from (("fc.weight", (1000, 1024)), ("fc.bias", (1000,)))


def windows(maps, kernel, stride, fill=0.0):
    """Returns what each step of a kernel reads of maps `[B,C,H,W]`: `[B,C,h,w,kernel,kernel]`."""
    margin = kernel // 2
    padded = np.pad(maps, ((0, 0), (0, 0), (margin, margin), (margin, margin)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]


class Reference:
    """PyTorch's layers in NumPy, in evaluation mode."""

    def __init__(self, weights):
        self.weights = weights

    def convolved(self, maps, name, stride):
        kernel = self.weights[f"{name}.weight"].astype(float)
        seen = windows(maps, kernel.shape[-1], stride)
        if kernel.shape[1] == 1 and maps.shape[1] > 1:
            return np.einsum("bchwij,cij->bchw", seen, kernel[:, 0])
        return np.moveaxis(np.tensordot(seen, kernel, ((1, 4, 5), (1, 2, 3))), -1, 1)

    def normed(self, maps, name):
        shaped = [self.weights[f"{name}.{part}"].astype(float)[:, None, None] for part in ("weight", "bias")]
        mean, variance = (self.weights[f"{name}.running_{part}"][:, None, None] for part in ("mean", "var"))
        return (maps - mean) / np.sqrt(variance + 1e-5) * shaped[0] + shaped[1]

    def classified(self, maps):
        return maps.mean((2, 3)) @ self.weights["fc.weight"].T + self.weights["fc.bias"]

    def resnet(self, images, depth):
        stem = np.maximum(self.normed(self.convolved(images, "conv1", 2), "bn1"), 0)
        maps, ends = windows(stem, 3, 2, -np.inf).max((4, 5)), []
        for group, blocks in enumerate(BLOCKS[depth], start=1):
            for block in range(blocks):
                maps = self.block(maps, f"layer{group}.{block}", 2 if group > 1 and block == 0 else 1, depth)
            ends.append(maps)
        return self.classified(maps), ends

    def block(self, maps, place, stride, depth):
        strides, inner = [1, stride, 1] if depth >= 50 else [stride, 1], maps
        for number, one in enumerate(strides, start=1):
            inner = self.normed(self.convolved(inner, f"{place}.conv{number}", one), f"{place}.bn{number}")
            inner = inner if number == len(strides) else np.maximum(inner, 0)
        if f"{place}.downsample.0.weight" in self.weights:
            maps = self.normed(self.convolved(maps, f"{place}.downsample.0", stride), f"{place}.downsample.1")
        return np.maximum(maps + inner, 0)

    def mobilenet(self, images):
        maps, ends = np.maximum(self.normed(self.convolved(images, "model.0.0", 2), "model.0.1"), 0), []
        for block, (_, stride) in enumerate(MOBILENET, start=1):
            inner = self.normed(self.convolved(maps, f"model.{block}.0", stride), f"model.{block}.1")
            deep = self.convolved(np.maximum(inner, 0), f"model.{block}.3", 1)
            maps = np.maximum(self.normed(deep, f"model.{block}.4"), 0)
            if block in (3, 5, 11, 13):
                ends.append(maps)
        return self.classified(maps), ends


def built(name, size, num_classes=1000):
    (config,) = jobs(["method=student", f"model.student={name}"])
    one = config.model.student
    with names_from_the_start():
        network = one.build((size, size, 3), num_classes)
    return network, modules_of("model.student", one.target, one.parameters)


@pytest.mark.parametrize("name", ["resnet18_imagenet", "resnet50_imagenet", "mobilenet"])
def test_pytorchs_weights_give_what_their_definition_gives(name):
    shapes = dict(mobilenet_shapes() if name == "mobilenet" else resnet_shapes(int(name[6:8])))
    weights = {name: tensor(name, shape) for name, shape in shapes.items()}
    network, modules = built(name, 66)  # a map of odd size is padded, too
    load_state_dict(network, modules, weights)
    images = np.random.default_rng(0).normal(0, 1, (1, 66, 66, 3)).astype(np.float32)
    reference, moved = Reference(weights), images.transpose(0, 3, 1, 2).astype(float)
    logits, ends = reference.mobilenet(moved) if name == "mobilenet" else reference.resnet(moved, int(name[6:8]))
    outputs = network(images)
    assert np.abs(outputs["logits"] - logits).max() < 1e-4 * np.abs(logits).max()
    for found, end in zip(outputs["passed"], ends, strict=True):
        assert np.abs(found - end.transpose(0, 2, 3, 1)).max() < 1e-4 * np.abs(end).max()
    assert {name: tensor.shape for name, tensor in state_dict(network, modules).items()} == shapes
    assert sum(variable.value.shape.num_elements() for variable in network.trainable_variables) == PARAMETERS[name]


def test_a_resnet_34_has_torchvisions_tensors():
    network, modules = built("resnet34_imagenet", 64)
    assert {name: tensor.shape for name, tensor in state_dict(network, modules).items()} == dict(resnet_shapes(34))
    assert network.count_params() - 2 * 8512 == PARAMETERS["resnet34_imagenet"]


def test_maps_of_224_pixels_have_the_usual_sizes():
    for name in ("resnet18_imagenet", "mobilenet"):
        network, _ = built(name, 224, 10)
        assert [maps.shape[1] for maps in network.output["post"]] == [56, 28, 14, 7]


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ConfigError, match="are too small for the strides"):
        built("resnet18_imagenet", 8)
