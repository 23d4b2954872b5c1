"""How far a run is, read from its folder: no process, no training."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.damage import cut, flip

from kd_bench.config.compose import jobs
from kd_bench.runs.folder import NEW, RunFolder, find_runs
from kd_bench.runs.lock import locked
from kd_bench.runs.outcome import record_done, record_failure, setting
from kd_bench.runs.record import Cost, SchemaError, Scores, read_record, write_record


def config_of(outputs, *arguments):
    (config,) = jobs([*arguments, f"outputs={outputs}"])
    return config


def finish(config, **changes):
    """Writes what a finished run leaves, and returns its folder."""
    folder = RunFolder(config.directory)
    folder.make()
    folder.config.write_text("seed: 0\n")
    folder.metrics.write_text('{"epoch": 1}\n')
    folder.network.write_bytes(b"a network")
    folder.save_predictions(np.arange(5))
    record = record_done(
        config,
        scores=Scores(last_accuracy=0.9),
        cost=Cost(steps={"main": 1}),
        setting=replace(setting(config, "float32", 1), **changes),
        files=folder.checksums(),
    )
    write_record(folder.record, record)
    return folder


@pytest.fixture
def student(tmp_path):
    return config_of(tmp_path, "method=student")


@pytest.fixture
def teacher(tmp_path):
    return config_of(tmp_path, "method=teacher")


def test_a_run_that_nobody_began_is_new(student):
    assert RunFolder(student.directory).state(student) == NEW


def test_a_run_with_checkpoints_can_resume(student):
    folder = RunFolder(student.directory)
    folder.checkpoints.mkdir(parents=True)
    (folder.checkpoints / ".000001-main-20-0f3c5a7e92b1d468.safetensors.7.tmp").touch()
    assert not folder.state(student).resumable
    (folder.checkpoints / "000001-main-20-0f3c5a7e92b1d468.safetensors").touch()
    assert folder.state(student).resumable


def test_a_finished_run_is_done(student):
    state = finish(student).state(student)
    assert state.done.scores.last_accuracy == 0.9
    assert (state.damage, state.failure, state.outdated) == ([], None, False)


def test_a_failed_run_says_why(student):
    folder = RunFolder(student.directory)
    folder.make()
    write_record(folder.record, record_failure(student, "no luck"))
    state = folder.state(student)
    assert (state.done, state.failure) == (None, "no luck")


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("name", ["record", "metrics", "network", "predictions"])
def test_a_damaged_file_is_named_and_the_run_is_not_done(student, name, damage):
    folder = finish(student)
    path = getattr(folder, name)
    path.write_bytes(path.read_bytes() + bytes(40))
    damage(path)
    state = folder.state(student)
    assert state.done is None
    assert [str(path) in sentence for sentence in state.damage] == [True]


def test_a_students_network_may_be_deleted_and_a_teachers_may_not(student, teacher):
    for config in (student, teacher):
        folder = finish(config)
        folder.network.unlink()
        folder.predictions.unlink()
    assert RunFolder(student.directory).state(student).done is not None
    state = folder.state(teacher)
    assert state.done is None
    assert state.damage == [f"{folder.network}: is missing"]


def test_a_run_by_other_code_is_done_and_outdated_and_to_do_if_asked(student):
    folder = finish(student, code="0" * 16)
    state = folder.state(student)
    assert state.outdated and state.done is not None
    again = folder.state(replace(student, redo=True))
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
    state = folder.state(mine)
    assert (state.done, state.failure, state.outdated) == (None, None, False)
    assert state.damage == [f"{folder.record}: is the record of another run ({named})"]


def test_a_failure_that_was_copied_does_not_count(tmp_path):
    mine, other = config_of(tmp_path, "method=at"), config_of(tmp_path, "method=fitnet")
    folder = RunFolder(mine.directory)
    folder.make()
    write_record(folder.record, record_failure(other, "no luck"))
    assert folder.state(mine).failure is None


def test_a_copy_inside_a_runs_folder_changes_nothing(tmp_path):
    mine, other = finish(config_of(tmp_path, "method=at")), finish(config_of(tmp_path, "method=fitnet"))
    shutil.copytree(other.path, mine.path / other.path.name)  # as `cp -r` does if there is such a folder
    assert mine.state(config_of(tmp_path, "method=at")).done is not None
    assert len(list(find_runs(tmp_path))) == 2


def test_a_record_with_eight_digits_of_its_digest_counts(student):
    folder = finish(student)
    record = read_record(folder.record)
    run = replace(record.run, digest=record.run.digest[:8], protocol=record.run.protocol[:8])
    write_record(folder.record, replace(record, run=run))
    assert folder.state(student).done == record


def test_another_versions_record_is_refused_by_name(student):
    folder = finish(student)
    folder.record.write_text('{"schema": 99}')
    with pytest.raises(SchemaError, match=r"result\.json: its schema version is 99"):
        folder.state(student)


def test_runs_are_found_finished_or_not_through_links_and_hidden_folders_are_none(tmp_path):
    for name in (
        "b/result.json",
        "b/config.yaml",
        "a/config.yaml",
        "a/.hydra/config.yaml",
        "a/logs/config.yaml",
        "c/other.json",
    ):
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).touch()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "link").symlink_to(tmp_path / "here")
    found = [
        (folder.path.relative_to(tmp_path).as_posix(), finished) for folder, finished in find_runs(tmp_path / "there")
    ]
    assert found == [("there/link/a", False), ("there/link/b", True)]


def test_a_run_that_never_began_leaves_nothing(student, tmp_path):
    folder = RunFolder(student.directory)
    folder.make()
    with locked(folder):
        assert folder.holder.exists()
        folder.leave_nothing(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_wrote_stays(student, tmp_path):
    folder = finish(student)
    folder.leave_nothing(tmp_path)
    assert folder.state(student).done is not None


def test_another_runs_folder_stays(tmp_path):
    mine, other = config_of(tmp_path, "method=student"), config_of(tmp_path, "method=student", "seed=1")
    finish(other)
    folder = RunFolder(mine.directory)
    folder.make()
    folder.leave_nothing(tmp_path)
    assert not folder.path.exists()
    assert RunFolder(other.directory).state(other).done is not None
