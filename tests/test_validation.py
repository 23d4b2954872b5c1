"""A run that holds training images out for its evaluation, and leaves the test set alone."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers.command import SHORT, aggregate, records, run
from helpers.kills import attempt
from helpers.records import make_record

from kd_bench.build import build
from kd_bench.config.compose import jobs
from kd_bench.data.images import ImageDataset
from kd_bench.errors import ConfigError, DataError
from kd_bench.runs.finished import FinishedRun
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import write_record
from kd_bench.training.saving import save_network

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
HELD_OUT = ["fraction=0.5", "validation=0.25"]


@pytest.fixture
def no_test_set(monkeypatch):
    """Makes reading the test set of any data set an error."""
    monkeypatch.setattr(ImageDataset, "test", property(lambda self: pytest.fail("the test set was read")))


def parts_of(*arguments):
    (config,) = jobs(["method=student", *arguments])
    return build(config, None)


def test_what_is_held_out_is_a_part_of_the_fraction(no_test_set):
    parts = parts_of(*HELD_OUT)
    assert (len(parts.images), len(parts.held_out)) == (486, 162)
    fraction, together = parts_of("fraction=0.5", "validation=0.5"), [parts.images.pixels, parts.held_out.pixels]
    also = [fraction.images.pixels, fraction.held_out.pixels]
    assert np.array_equal(*(np.sort([image.sum() for image in np.concatenate(both)]) for both in (together, also)))
    assert parts.data == parts.dataset.train_fingerprint


def test_the_steps_of_the_full_protocol_stay(no_test_set):
    assert parts_of(*HELD_OUT).plan.steps_per_epoch == 1297 // 64


def test_too_few_images_are_refused(no_test_set):
    with pytest.raises(DataError, match=r"^validation=0\.01 leaves 1 of 130 images for evaluation .*smallest share"):
        parts_of("fraction=0.1", "validation=0.01")


@pytest.fixture(scope="module")
def without_test_files(tmp_path_factory):
    """Makes a prepared copy of the digits whose test files are gone."""
    place = tmp_path_factory.mktemp("data")
    builder = tfds.builder("digits", data_dir=str(place))
    builder.download_and_prepare()
    gone = list(place.rglob("*-test*"))
    assert gone
    for path in gone:
        path.unlink()
    return place


def test_a_run_and_its_record_have_nothing_of_the_test_set(without_test_files, write_teacher, tmp_path):
    data = f"dataset.data_dir={without_test_files}"
    write_teacher(tmp_path, without_test_files)
    assert attempt(["method=soft_logits", *HELD_OUT, *SHORT, data, f"outputs={tmp_path}"]) == 0
    record = records(tmp_path)["soft_logits", 0.5, 0]
    assert record["config"]["validation"] == 0.25
    assert record["cost"]["train_images"] == 486
    assert record["setting"]["data"] == record["setting"]["train_data"] != ""
    (predictions,) = (np.load(path) for path in tmp_path.rglob("soft_logits/*/*/predictions.npy"))
    assert len(predictions) == 162
    # A teacher's accuracy on 162 images is a multiple of 1/162; its own record says 98 % of other images.
    assert (record["scores"]["teacher_accuracy"] * 162) % 1 == pytest.approx(0, abs=1e-9)
    assert (
        run("method=student", "fraction=0.5", *SHORT, data, outputs=tmp_path).returncode == 2
    )  # it reads the test set


@pytest.fixture
def write_teacher():
    """Makes a teacher, never trained, as `SHORT` runs look for it."""

    def write(outputs, data_dir):
        (config,) = jobs(["method=soft_logits", *SHORT, f"outputs={outputs}", f"dataset.data_dir={data_dir}"])
        wanted = config.teacher_run()
        folder = RunFolder(wanted.directory)
        folder.make()
        network = wanted.model.teacher.build((8, 8, 1), 10)
        save_network(folder.network, network, np.zeros(1), np.ones(1))
        train_data = wanted.dataset.build(wanted.dataset.name).train_fingerprint
        record = make_record("Teacher", 0.98, digest=wanted.digest, train_data=train_data, code=wanted.code)
        record = replace(record, config=wanted.facts())
        write_record(folder.record, replace(record, files=folder.checksums()))

    return write


@pytest.mark.parametrize("train_data", ["0" * 16, ""])
def test_the_teacher_s_training_images_are_compared_if_its_record_knows_them(train_data, tmp_path, capsys, no_test_set):
    (config,) = jobs(["method=at", *HELD_OUT])
    folder = RunFolder(tmp_path)
    save_network(folder.network, config.model.teacher.build((8, 8, 1), 10), np.zeros(1), np.ones(1))
    record = make_record("Teacher")
    teacher = FinishedRun(folder, replace(record, setting=replace(record.setting, train_data=train_data)))
    if train_data:
        with pytest.raises(ConfigError, match=r"learned from \(0000000000000000\)"):
            build(config, teacher)
    else:
        build(config, teacher)
        assert "stored no fingerprint of the training images alone" in capsys.readouterr().err


def test_no_table_shows_what_was_held_out(write_outputs):
    found = [make_record("AT", 0.5), make_record("AT", 0.9, seed=1, settings={"validation": 0.25})]
    found += [make_record("AT", seed=2, settings={"validation": 0.25}, failed="NaN")]
    outputs = write_outputs(*found)
    for view in ([], ["--gains"], ["--format", "json"]):
        shown = aggregate(*view, outputs=outputs)
        assert shown.returncode == 0, shown.stderr
        assert "90" not in shown.stdout and "0.9" not in shown.stdout
    assert "50.00 (1)" in aggregate(outputs=outputs).stdout
    assert "0.25" in aggregate("--runs", outputs=outputs).stdout


def test_a_folder_of_a_search_alone_has_no_table(write_outputs):
    outputs = write_outputs(make_record("AT", 0.9, settings={"validation": 0.25}))
    shown = aggregate(outputs=outputs)
    assert shown.returncode == 1
    assert shown.stderr == (
        "aggregate.py: all runs belong to searches (validation above 0): no table shows them; --runs lists them\n"
    )
