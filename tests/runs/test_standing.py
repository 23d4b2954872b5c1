"""How far a run is, read from its folder: no process, no training."""

import os
import shutil
from dataclasses import replace

import pytest
from helpers.damage import cut, flip
from helpers.finished import config_of, finish

from kd_bench.config import checksums
from kd_bench.runs.folder import RunFolder, find_runs
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import SchemaError, write_record
from kd_bench.runs.standing import Standing, State, read_standing


@pytest.fixture
def student(tmp_path):
    return config_of(tmp_path, "method=student")


@pytest.fixture
def teacher(tmp_path):
    return config_of(tmp_path, "method=teacher")


def test_a_run_that_nobody_began_is_new(student):
    assert read_standing(student).state is State.NEW


def test_a_run_with_checkpoints_can_resume(student):
    folder = RunFolder(student.directory)
    folder.checkpoints.mkdir(parents=True)
    (folder.checkpoints / ".000001-main-20-0f3c5a7e92b1d468.safetensors.7.tmp").touch()
    assert read_standing(student).checkpoint is None
    (folder.checkpoints / "000001-main-20-0f3c5a7e92b1d468.safetensors").touch()
    assert read_standing(student).checkpoint == ("main", 20)


def test_a_finished_run_is_done(student):
    finish(student)
    standing = read_standing(student)
    assert standing.done.scores.last_accuracy == 0.9
    assert (standing.damage, standing.failure, standing.outdated) == ([], None, False)


def test_a_failed_run_says_why(student):
    folder = RunFolder(student.directory)
    folder.make()
    write_record(folder.record, record_failure(student, "no luck"))
    standing = read_standing(student)
    assert (standing.done, standing.failure) == (None, "no luck")


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("name", ["record", "metrics", "network", "predictions"])
def test_a_damaged_file_is_named_and_the_run_is_not_done(student, name, damage):
    folder = finish(student)
    path = getattr(folder, name)
    path.write_bytes(path.read_bytes() + bytes(40))
    damage(path)
    standing = read_standing(student)
    assert standing.done is None
    assert [str(path) in sentence for sentence in standing.damage] == [True]


def test_a_students_network_may_be_deleted_and_a_teachers_may_not(student, teacher):
    for config in (student, teacher):
        folder = finish(config)
        folder.network.unlink()
        folder.predictions.unlink()
    assert read_standing(student).done is not None
    standing = read_standing(teacher)
    assert standing.done is None
    assert standing.damage == [f"{folder.network}: is missing"]


def test_a_run_by_other_code_is_done_and_outdated_and_to_do_if_asked(student):
    finish(student, code="0" * 16)
    standing = read_standing(student)
    assert standing.outdated and standing.done is not None
    again = read_standing(replace(student, redo=True))
    assert again.outdated and again.done is None and again.damage == []


@pytest.mark.parametrize(
    ("copied", "over", "named"),
    [
        (["method=at"], ["method=fitnet"], "digits at fraction=1 seed=0"),
        (["method=at"], ["method=at", "seed=1"], "digits at fraction=1 seed=0"),
        (["method=at", "method.beta=9"], ["method=at"], "digits at fraction=1 seed=0 method.beta=9"),
        (["method=teacher"], ["method=teacher", "epochs=3"], "digits teacher fraction=1 seed=0"),
    ],
)
def test_a_copied_record_does_not_count_and_is_named(tmp_path, copied, over, named):
    mine, other = config_of(tmp_path, *over), finish(config_of(tmp_path, *copied))
    folder = RunFolder(mine.directory)
    shutil.copytree(other.path, folder.path)
    standing = read_standing(mine)
    assert (standing.done, standing.failure, standing.outdated) == (None, None, False)
    assert standing.damage == [f"{folder.record}: is the record of another run ({named})"]


def test_a_failure_that_was_copied_does_not_count(tmp_path):
    mine, other = config_of(tmp_path, "method=at"), config_of(tmp_path, "method=fitnet")
    folder = RunFolder(mine.directory)
    folder.make()
    write_record(folder.record, record_failure(other, "no luck"))
    assert read_standing(mine).failure is None


def test_a_copy_inside_a_runs_folder_changes_nothing(tmp_path):
    mine, other = finish(config_of(tmp_path, "method=at")), finish(config_of(tmp_path, "method=fitnet"))
    shutil.copytree(other.path, mine.path / other.path.name)  # as `cp -r` does if there is such a folder
    assert read_standing(config_of(tmp_path, "method=at")).done is not None
    assert len(list(find_runs(tmp_path))) == 2


def test_another_versions_record_is_refused_by_name(student):
    folder = finish(student)
    folder.record.write_text('{"schema": 99}')
    with pytest.raises(SchemaError, match=r"result\.json: its schema version is 99"):
        read_standing(student)


def test_a_checkpoint_is_known_by_its_name(tmp_path):
    folder = RunFolder(tmp_path)
    assert Standing(folder).checkpoint is None
    folder.checkpoints.mkdir()
    for name in ("000009-hint-180-0f3c", "000010-main-340-0f3c", ".000011-main-360-0f3c"):
        (folder.checkpoints / f"{name}.safetensors").touch()
    assert Standing(folder).checkpoint == ("main", 340)


def test_a_file_is_verified_once_and_again_if_it_has_changed(student, monkeypatch):
    folder, read = finish(student), []
    file_checksum = checksums.file_checksum
    monkeypatch.setattr(checksums, "file_checksum", lambda path: read.append(path.name) or file_checksum(path))
    assert read_standing(student).done and read_standing(student).done
    assert sorted(read) == ["metrics.jsonl", "network.keras", "predictions.npy"]
    os.utime(folder.network, ns=(0, 0))
    assert read_standing(student).done
    assert read[3:] == ["network.keras"]
