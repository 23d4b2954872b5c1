"""A teacher in a file, from the command line to the table: evaluated once, never trained."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.command import aggregate, records, run
from helpers.published import DIGITS
from helpers.published import DIGITS_TEACHER as FILE

import kd_bench
from kd_bench.results.frame import load_runs

SHORT = ["teacher=file", "epochs=1", "fraction=0.1", "hardware=cpu"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Runs two methods with the published teacher."""
    outputs = tmp_path_factory.mktemp("own") / "outputs"
    done = run("-m", "method=soft_logits,co", *SHORT, f"teacher.path={FILE}", outputs=outputs)
    assert done.returncode == 0, done.stderr[-3000:]
    return outputs


def test_the_teacher_is_evaluated_and_not_trained(outputs):
    teacher = records(outputs)["teacher", 1.0, 0]
    runs = load_runs(DIGITS)
    published = runs[runs["digest"].str.startswith(FILE.stem)]
    assert teacher["scores"]["last_accuracy"] == published["last_accuracy"].item()
    assert teacher["cost"]["parameters"] == published["parameters"].item()
    assert teacher["cost"]["steps"] == {"main": 0}
    assert teacher["config"]["teacher"]["checksum"] == teacher["files"]["network.keras"]
    copies = [path.read_bytes() for path in outputs.glob("digits/teachers/*/*/network.keras")]
    assert copies == [FILE.read_bytes()]


def test_students_learn_from_it_and_say_so(outputs):
    found = records(outputs)
    teacher = found["teacher", 1.0, 0]
    for method in ("soft_logits", "co"):
        scores = found[method, 0.1, 0]["scores"]
        assert scores["teacher_accuracy"] == teacher["scores"]["last_accuracy"]
        assert scores["teacher_digest"] == teacher["run"]["digest"]
        assert 0 < scores["agreement"] < 1
    checksum = teacher["files"]["network.keras"][:8]
    table = aggregate(outputs=outputs).stdout
    assert f"| Teacher (teacher=file {checksum})" in table
    assert "| CO " in table and f"All students have `epochs=1`, `teacher=file {checksum}`." in table


def test_the_network_of_a_run_teaches_by_the_run_s_folder(outputs, tmp_path):
    (folder,) = outputs.glob("digits/tiny/soft_logits/*/*")
    done = run("method=teacher", "teacher=file", f"teacher.path={folder}", outputs=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    student, teacher = records(outputs)["soft_logits", 0.1, 0], records(tmp_path)["teacher", 1.0, 0]
    assert teacher["scores"]["last_accuracy"] == student["scores"]["last_accuracy"]
    assert teacher["files"]["network.keras"] == student["files"]["network.keras"]


def test_a_network_that_does_not_fit_is_refused_in_one_line_and_leaves_nothing(tmp_path):
    other = FILE.parents[1] / "cifar100_small.networks/16f26fb4d6384ea2.keras"
    done = run(*SHORT, f"teacher.path={other}", outputs=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "takes [(32, 32, 3)]; it must take images of shape (8, 8, 1)." in done.stderr
    assert not list(tmp_path.rglob("*.yaml"))


def test_a_teacher_can_learn_from_exactly_the_images_of_the_runs(outputs):
    recorded = records(outputs)["teacher", 1.0, 0]["setting"]
    dataset = kd_bench.load_data(["dataset=digits", "fraction=0.1"])
    assert (dataset.fingerprint, dataset.train_fingerprint) == (recorded["data"], recorded["train_data"])
    assert len(dataset.train) + len(dataset.test) == 1797


def test_the_split_of_a_folder_has_its_class_names_and_no_image_twice(tmp_path):
    for number, name in enumerate(("ant", "bee")):
        for place in range(10):
            save(tmp_path / "insects" / name / f"{place}.png", 20 * place + number)
    dataset = kd_bench.load_data(["dataset=folder", f"dataset.root={tmp_path}/insects", "dataset.test_share=0.3"])
    assert dataset.class_names == ("ant", "bee")
    assert [np.bincount(part.labels).tolist() for part in (dataset.train, dataset.test)] == [[7, 7], [3, 3]]
    pixels = [*dataset.train.pixels[:, 0, 0, 0], *dataset.test.pixels[:, 0, 0, 0]]
    assert len(set(pixels)) == 20


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    tf.io.write_file(str(path), tf.io.encode_png(np.full((16, 16, 3), value, np.uint8)))
