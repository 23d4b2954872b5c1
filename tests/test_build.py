"""A teacher that is not this run's is refused."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers.records import make_record

from kd_bench.build import build
from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError, DamageError
from kd_bench.networks.wide_resnet import wide_resnet
from kd_bench.runs.finished import FinishedRun
from kd_bench.runs.folder import RunFolder
from kd_bench.training.saving import save_network

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),  # Keras's, in `save`
    pytest.mark.filterwarnings("ignore:Skipping nested container"),  # Keras's, before it refuses a network
]


@pytest.fixture
def config():
    return jobs(["method=at"])[0]


def teacher_with(tmp_path, network, data):
    folder = RunFolder(tmp_path)
    save_network(folder.network, network, np.zeros(1), np.ones(1))
    record = make_record("Teacher")
    return FinishedRun(folder, replace(record, setting=replace(record.setting, data=data)))


def network(classes):
    return wide_resnet((8, 8, 1), classes, depth=10, width=2, stem_channels=16, stem_stride=1)


def fingerprint(config):
    return config.dataset.build(config.dataset.name).fingerprint


def test_a_teacher_of_other_images(tmp_path, config):
    teacher = teacher_with(tmp_path, network(10), "0" * 16)
    with pytest.raises(ConfigError, match=r"dataset: these images .* are not those that the teacher in"):
        build(config, teacher)


def test_a_teacher_of_another_number_of_classes(tmp_path, config):
    teacher = teacher_with(tmp_path, network(7), fingerprint(config))
    with pytest.raises(DamageError, match=r"belongs to another network than this run's teacher .* number of classes"):
        build(config, teacher)


def test_the_teacher_gets_the_weights_of_its_run(tmp_path, config):
    keras.utils.set_random_seed(7)
    trained = network(10)
    parts = build(config, teacher_with(tmp_path, trained, fingerprint(config)))
    for one, other in zip(trained.variables, parts.distiller.teacher.variables, strict=True):
        assert (one.numpy() == other.numpy()).all()
