"""A teacher in a file: what identifies it, which run evaluates it, and what is refused before anything starts."""

import shutil
import zipfile

import pytest

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError


def write(path, content="{}"):
    """Writes a file that looks like Keras's."""
    path.parent.mkdir(exist_ok=True, parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("config.json"), content)
    return path


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "mine.keras")


def run_with(path, *arguments, method="at"):
    (config,) = jobs([f"method={method}", "teacher=file", f"teacher.path='{path}'", *arguments])
    return config


def test_the_content_and_not_the_path_is_part_of_the_digest(tmp_path, file):
    run = run_with(file)
    copy = shutil.copy(file, tmp_path / "other.keras")
    assert run_with(copy).digest == run.digest
    write(file, "{ }")
    assert run_with(file).digest != run.digest
    assert run_with(copy).digest == run.digest
    assert run_with(copy, "teacher.normalisation=zero_to_one").digest != run.digest


def test_a_run_s_folder_means_its_network(tmp_path):
    network = write(tmp_path / "at/fraction=1/seed=0-0a1b2c3d/network.keras")
    assert run_with(network.parent).teacher.path == str(network)


def test_the_row_says_that_the_teacher_is_a_file(file):
    run = run_with(file, "epochs=3", "teacher.normalisation=dataset")
    named = {"teacher": f"file {run.teacher.checksum[:8]}", "teacher.normalisation": "dataset"}
    assert run.variant == {"epochs": 3} | named
    assert run_with(file).variant == {"teacher": named["teacher"]}
    assert run.teacher_run().variant == named


def test_the_teacher_has_one_run_whatever_its_students_do(file):
    teacher = run_with(file, method="teacher")
    students = [
        run_with(file, "epochs=3", "fraction=0.1", "seed=2", "batch_size=8", "optimizer.learning_rate=0.01"),
        run_with(file, "model=tiny_mixed", "validation=0.1", method="co"),
    ]
    alike = [run_with(file, *several, method="teacher") for several in (["seed=2"], ["epochs=3", "fraction=0.1"])]
    runs = [*(student.teacher_run() for student in students), *alike]
    assert {run.directory for run in runs} == {teacher.directory}
    assert teacher.variant == {"teacher": f"file {teacher.teacher.checksum[:8]}"}
    assert teacher.teacher_run() is None


def test_the_pair_s_own_teacher_does_not_count(file):
    assert run_with(file, "model.teacher.depth=16").digest == run_with(file).digest


@pytest.mark.parametrize("method", ["student", "dml"])
def test_methods_without_a_trained_teacher_stay_the_same(file, method):
    (plain,) = jobs([f"method={method}"])
    run = run_with(file, method=method)
    assert (run.digest, run.variant, run.teacher_run()) == (plain.digest, {}, None)


def test_the_layers_that_are_named_are_of_the_students_run_only(file):
    named, plain = run_with(file, "teacher.points=[fine,coarse]"), run_with(file)
    assert named.variant == plain.variant | {"teacher.points": ["fine", "coarse"]}
    assert named.digest != plain.digest
    assert named.teacher_run().directory == plain.teacher_run().directory
    assert "points" not in plain.facts()["teacher"]
    with pytest.raises(ConfigError, match=r"^teacher\.points=fine: must be a list of layers"):
        run_with(file, "teacher.points=fine")


def test_a_preset_may_set_how_teachers_are_trained(file):
    assert run_with(file, "experiment=cifar100").teacher.settings == {"seed": 0}


def weights(path, content=b"not read before the run"):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", ["pth", "pt", "safetensors"])
def test_of_weights_alone_the_pair_s_teacher_counts(tmp_path, suffix):
    path, normalised = weights(tmp_path / f"resnet8.{suffix}"), "teacher.normalisation=cifar100"
    run = run_with(path, normalised, "model.teacher=resnet8")
    other = run_with(path, normalised, "model.teacher=resnet14")
    assert run.facts()["model"]["teacher"]["depth"] == 8
    assert run.digest != other.digest
    assert run.teacher_run().directory != other.teacher_run().directory
    assert run.teacher_run().facts()["model"] == {"teacher": run.facts()["model"]["teacher"]}
    assert run.variant["teacher.normalisation"] == "cifar100"
    elsewhere = run_with(path, normalised, "model=resnet56_resnet20", "model.teacher=resnet8")
    assert elsewhere.teacher_run().directory == run.teacher_run().directory


def test_of_weights_alone_it_must_be_said_which_images_they_take(tmp_path):
    path = weights(tmp_path / "resnet8.pth")
    with pytest.raises(ConfigError, match=r"^teacher\.normalisation=none: a network of PyTorch does not .* cifar100"):
        run_with(path, "model.teacher=resnet8")
    again = run_with(path, "model.teacher=resnet8", "teacher.normalisation=dataset")
    assert again.teacher.at(tmp_path / "network.keras").normalisation == "none"


@pytest.mark.parametrize("line", ["teacher.epochs=3", "teacher.seed=1", "teacher.batch_size=8"])
def test_how_to_train_it_cannot_be_said(file, line):
    with pytest.raises(ConfigError, match=rf"^{line}: a teacher in a file \(teacher=file\) is not trained"):
        run_with(file, line)


def test_only_a_keras_file_is_accepted(tmp_path, file):
    (tmp_path / "text.keras").write_text("text")
    (tmp_path / "folder").mkdir()
    problems = {
        "nowhere.keras": "there is no such file or folder",
        "text.keras": r"is not a Keras file; save the network by network\.save\('name\.keras'\)",
        write(tmp_path / "mine.zip").name: "is not a Keras file",
        "folder": r"the folder has no network\.keras; give the folder of a run that is done",
    }
    for name, problem in problems.items():
        with pytest.raises(ConfigError, match=rf"^teacher\.path={tmp_path / name}: {problem}"):
            run_with(tmp_path / name)
    with pytest.raises(ConfigError, match=r"^teacher\.path: Missing mandatory value"):
        jobs(["teacher=file"])
    with pytest.raises(ConfigError, match=r"^teacher\.normalisation=one: must be one of none, zero_to_one, "):
        run_with(file, "teacher.normalisation=one")
