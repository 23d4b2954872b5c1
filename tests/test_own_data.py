"""Runs on a user's own data from the command line: the preset that they get, and the first line that names it."""

import re
import textwrap

import numpy as np
import pytest
from helpers.command import ROOT, records, run

from kd_bench.config.compose import jobs

SHORT = ["epochs=1", "teacher.epochs=1", "batch_size=8", "teacher.batch_size=8", "hardware=cpu", "hardware.threads=1"]


@pytest.fixture
def arrays(tmp_path):
    """Makes a file of 12 images of two classes, and returns what chooses it."""

    def make(*shape):
        pixels = np.random.default_rng(0).integers(0, 256, (12, *shape), np.uint8)
        np.savez(tmp_path / "mine.npz", x=pixels, y=np.arange(12) % 2)
        return ["dataset=arrays", f"dataset.path={tmp_path / 'mine.npz'}"]

    return make


def first_line(done):
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.partition("\n")[0]


def test_own_data_of_any_size_have_the_preset_own(tmp_path, arrays):
    done = run(*arrays(224, 224, 3), "method=at", *SHORT, outputs=tmp_path)
    line = "mine (experiment=own): 2 classes (0, 1), 10 training and 2 test images of 224x224 pixels in 3 channels."
    assert first_line(done) == line
    assert done.stdout.count("experiment=") == 2  # of the teacher and of the student
    record = records(tmp_path)["at", 1.0, 0]
    assert (record["run"]["experiment"], record["run"]["model"]) == ("own", "wrn_16_2_wrn_10_1_any_size")


def test_a_sweep_of_own_data_has_it_in_every_job_and_leaves_the_test_set_unread(tmp_path, arrays):
    done = run("-m", *arrays(8, 8, 1), "method=student", "seed=0,1", "validation=0.2", *SHORT, outputs=tmp_path)
    assert done.returncode == 0, done.stderr
    line = "mine (experiment=own): 2 classes (0, 1), 10 training images of 8x8 pixels in 1 channel."
    assert done.stdout.splitlines().count(line) == 2


def test_another_preset_can_be_named(arrays):
    (config,) = jobs([*arrays(8, 8, 1), "experiment=digits", "method=student"])
    assert (config.experiment, config.model.name) == ("digits", "tiny")


def test_a_sweep_over_digits_and_own_data_is_refused_in_one_line(tmp_path, arrays):
    _, path = arrays(8, 8, 1)
    done = run("-m", "dataset=digits,arrays", path, "method=student", outputs=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: dataset=digits,arrays: digits and other data sets have different presets; name one, such as "
        "experiment=own.\n"
    )


def test_the_documented_preset_serves(tmp_path, monkeypatch):
    page = (ROOT / "docs/own_data.md").read_text()
    (block,) = re.findall(r"^ {4}# @package _global_\n(?:(?: {4}.*)?\n)*", page, re.MULTILINE)
    preset, _, command = textwrap.dedent(block).partition("python run.py ")
    (tmp_path / "my_conf/experiment").mkdir(parents=True)
    (tmp_path / "my_conf/experiment/pets.yaml").write_text(preset)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "0.png").touch()
    monkeypatch.chdir(tmp_path)
    (config,) = jobs(command.split())
    assert (config.experiment, config.epochs, config.teacher.epochs, config.variant) == ("pets", 100, 100, {})
    assert (config.batch_size, config.model.name) == (64, "wrn_16_2_wrn_10_1_any_size")
