"""A teacher from PyTorch, from its file to a student: once converted by its run, then like any other."""

import keras
import numpy as np
import pytest
import safetensors.numpy
from helpers.pytorch import images, tensor, tensors

from kd_bench import execution
from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError
from kd_bench.export.command import main
from kd_bench.networks.pytorch_modules import modules_of
from kd_bench.networks.unrolled import names_from_the_start
from kd_bench.pair import build_distiller
from kd_bench.runs.folder import RunFolder
from kd_bench.training.loading import as_teacher
from kd_bench.training.state_dict import load_state_dict, state_dict

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
SMALL = ["model=tiny_mixed", "model.teacher.padding=symmetric", "model.teacher.stem_channels=4"]
SHORT = ["teacher=file", "teacher.normalisation=zero_to_one", "epochs=1", "fraction=0.1", "hardware=cpu"]


@pytest.fixture(scope="module")
def network():
    """A network of the pair's teacher with weights by the rule, from images on the scale 0 to 1, and its state dict."""
    (config,) = jobs(["method=student", *SMALL])
    teacher = config.model.teacher
    with names_from_the_start():
        built = teacher.build((8, 8, 1), 10)
    modules = modules_of("model.teacher", teacher.target, teacher.parameters)
    weights = {name: tensor(name, one.shape) for name, one in state_dict(built, modules).items()}
    load_state_dict(built, modules, weights)
    return built, weights


@pytest.fixture(scope="module")
def path(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("pytorch") / "teacher.safetensors"
    safetensors.numpy.save_file(network[1], path)
    return path


def with_file(path, *arguments):
    (config,) = jobs([*SHORT, *SMALL, f"teacher.path={path}", *arguments])
    return config


def test_a_student_learns_from_pytorchs_weights(path, network, tmp_path, capsys):
    student = with_file(path, "method=at", f"outputs={tmp_path}/outputs")
    teacher = student.teacher_run()
    for config in (teacher, student):
        execution.run(config)
    # The run of the file has the network in the form of all runs: from pixels, in plain Keras.
    saved = keras.models.load_model(RunFolder(teacher.directory).network)
    dataset = student.dataset.build("digits")
    pixels = dataset.test.pixels[:20]
    expected = network[0](pixels.astype(np.float32) / 255)
    np.testing.assert_allclose(saved(pixels), expected["logits"], rtol=1e-4, atol=1e-5)
    # Students read it from there, behind the normalisation of their batches.
    path.rename(path.with_name("elsewhere.safetensors"))
    try:
        trained = execution._trained_teacher(student)
        distiller = build_distiller(student, student.method.load(), dataset, trained)
    finally:
        path.with_name("elsewhere.safetensors").rename(path)
    outputs = distiller.teacher((pixels - dataset.mean) / dataset.std)
    for name in ("logits", "embedding"):
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-4, atol=1e-5)
    for found, known in zip(outputs["post"], expected["post"], strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-3, atol=1e-4)
    # And back: what is exported is the state dict that came.
    assert main([str(teacher.directory), "--formats", "pytorch"]) == 0
    assert "| pytorch  | export/network.pth |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.teacher.depth=14"], r"^teacher\.path=.*: lacks the tensor layer1\.1\.bn1\.bias and 29 more; is it of"),
        (["model.teacher.padding=same"], r"^model\.teacher\.padding=same: in PyTorch's code this network has padding="),
        (["model.teacher.width=1"], r"^teacher\.path=.*: has a tensor that the network has not, layer1\.0\.downsample"),
        (
            ["teacher.normalisation=cifar100"],
            r"^teacher\.normalisation=cifar100: has 3 channels, and the images have 1",
        ),
    ],
)
def test_a_file_of_another_network_is_refused_and_leaves_nothing(path, arguments, message, tmp_path):
    config = with_file(path, "method=teacher", f"outputs={tmp_path}/outputs", *arguments)
    with pytest.raises(ConfigError, match=message) as refused:
        execution.run(config)
    assert "\n" not in str(refused.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("named", "difference"),
    [
        ("resnet20", r"lacks the tensor layer1\.1\.bn1\.bias and \d+ more"),
        ("resnet8", r"has the tensor fc\.weight with .*"),
    ],
)
def test_a_refusal_names_the_network_that_the_file_is_of(named, difference, tmp_path):
    weights = tensors("resnet8")
    weights["conv1.weight"] = np.ones((16, 1, 3, 3), np.float32)  # the digits have one channel
    safetensors.numpy.save_file(weights, tmp_path / "teacher.safetensors")
    lines = ["method=teacher", f"model.teacher={named}", f"teacher.path={tmp_path}/teacher.safetensors"]
    (config,) = jobs([*SHORT, *lines, f"outputs={tmp_path}/outputs"])
    reason = r"all its tensors are those of model\.teacher=resnet8, with 100 classes, and the data have 10\.$"
    with pytest.raises(ConfigError, match=f"{difference}; {reason}"):
        execution.run(config)


def test_a_file_that_is_no_pytorch_file_is_refused(tmp_path):
    (tmp_path / "text.pth").write_text("text")
    config = with_file(tmp_path / "text.pth", "method=teacher", f"outputs={tmp_path}/outputs")
    with pytest.raises(ConfigError, match=r"text\.pth: cannot be read as PyTorch's or safetensors' file \("):
        execution.run(config)


def test_the_normalisation_of_cifar100_is_that_of_pytorchs_benchmarks():
    inner = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)])
    mean, std = np.float32([120, 110, 100]), np.float32([60, 62, 64])
    pixels = 20 * images() + 120
    expected = inner((pixels / 255 - [0.5071, 0.4867, 0.4408]) / [0.2675, 0.2565, 0.2761])
    for at_once in (False, True):
        teacher = as_teacher(inner, (32, 32, 3), 4, mean, std, "cifar100", at_once=at_once)
        np.testing.assert_allclose(teacher((pixels - mean) / std)["logits"], expected, rtol=1e-3, atol=1e-4)
