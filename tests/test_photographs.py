"""Runs on photographs from the command line: ImageNet's preset on three small classes, and what is missing."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.command import records, run

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError

CLASSES = ("n01440764", "n01443537", "n01484850")
SMALL = ["dataset.image_size=32", "dataset.short_side=36", "epochs=1", "batch_size=6", "hardware=cpu"]
NARROW = [f"model.{side}.stem_channels=8" for side in ("teacher", "student")]
TEACHER = ["teacher.epochs=1", "teacher.batch_size=6", "precision=float32"]


@pytest.fixture
def imagenet(tmp_path):
    """Four training and two validation images in each of three classes, in the usual folders."""
    random = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 2)):
        for name in CLASSES:
            folder = tmp_path / "imagenet" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (*random.integers(30, 60, 2), 3), np.uint8)
                (folder / f"{name}_{number}.JPEG").write_bytes(tf.io.encode_jpeg(pixels).numpy())
    return tmp_path / "imagenet"


def test_imagenets_preset_trains_on_folders(tmp_path, imagenet):
    preset = ["experiment=imagenet", f"dataset.root={imagenet}", "method=soft_logits"]
    done = run(*preset, *SMALL, *NARROW, *TEACHER, outputs=tmp_path / "outputs")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "imagenet (experiment=imagenet): 3 classes (n01440764, n01443537, n01484850), 12 training and 6 test images of "
        "32x32 pixels in 3 channels, of train and val.\n"
    )
    record = records(tmp_path / "outputs")["soft_logits", 1.0, 0]
    dataset = record["config"]["dataset"]
    assert (dataset["crop_scale"], dataset["short_side"], dataset["normalisation"]) == ([0.08, 1.0], 36, "imagenet")
    assert "padding" not in dataset and "streaming" not in dataset
    assert (record["config"]["method"]["temperature"], record["cost"]["steps"]) == (1.0, {"main": 2})


def published(*arguments):
    (config,) = jobs(["experiment=imagenet", "dataset=imagenet2012", *arguments])
    return config


def test_imagenets_preset_has_the_values_of_the_papers():
    config = published("method=dkd")
    assert (config.epochs, config.batch_size, config.model.name) == (100, 256, "resnet34_resnet18")
    assert config.optimizer.parameters["learning_rate"] == 0.1 and config.optimizer.parameters["weight_decay"] == 1e-4
    assert config.optimizer.parameters["decay_at"] == [0.3, 0.6, 0.9] and not config.optimizer.parameters["nesterov"]
    assert config.method.parameters["beta"] == 0.5 and config.variant == {}
    assert published("method=dkd", "model=resnet50_mobilenet").method.parameters["beta"] == 2.0
    assert published("method=at").method.parameters["beta"] == 1000.0  # no other value is published
    assert published("method=dkd", "method.beta=3").variant == {"method.beta": 3}
    (usual,) = jobs(["method=dkd"])
    assert usual.method.parameters["beta"] == 6.0


def test_what_is_missing_of_imagenet_is_named_in_one_line(tmp_path, imagenet):
    files = r"[^\n]*train/n01440764/n01440764_10026\.JPEG [^\n]*ILSVRC2012_img_train\.tar [^\n]*\.$"
    for root, problem in ((tmp_path / "none", "there is no such folder"), (imagenet / "train", "has no folders train")):
        with pytest.raises(ConfigError, match=rf"^dataset\.root={root}: {problem}{files}"):
            jobs(["experiment=imagenet", f"dataset.root={root}", "method=student"])
    with pytest.raises(ConfigError, match=r"^dataset\.root: Missing [^\n]*train/n01440764/n01440764_10026\.JPEG"):
        jobs(["experiment=imagenet", "method=student"])


def test_a_bad_photograph_is_named_before_training(tmp_path, imagenet):
    (imagenet / "train" / CLASSES[1] / "bad.JPEG").write_bytes(b"\xff\xd8\xff\xe0 no photograph")
    preset = ["experiment=imagenet", f"dataset.root={imagenet}", "method=student"]
    done = run(*preset, *SMALL, *NARROW, outputs=tmp_path / "outputs")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "n01443537/bad.JPEG is not an image that can be read (" in done.stderr
