"""Where an attempt resumes, and what makes it start over."""

import shutil

import keras
import pytest

from kd_bench.errors import DamageError
from kd_bench.runs.attempt import Attempt
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.metrics import append_metrics, read_metrics

SAME = {"data": "d" * 16, "teacher": "t" * 64, "code": "c" * 16}


@pytest.fixture
def folder(tmp_path):
    """Of a run that saved at step 20 of stage main, and then wrote one more line of metrics."""
    folder = RunFolder(tmp_path)
    first = Attempt(folder, **SAME)
    first.begin_training()
    append_metrics(folder.metrics, {"stage": "main", "epoch": 1})
    first.save("main", 20, [keras.Variable([1.0, 2.0])])
    append_metrics(folder.metrics, {"stage": "main", "epoch": 2})
    return folder


def test_the_first_attempt_starts_at_the_beginning(tmp_path):
    attempt = Attempt(RunFolder(tmp_path), **SAME)
    assert attempt.checkpoint is None
    assert [(one["stage"], one["step"]) for one in attempt.attempts] == [(None, 0)]


def test_an_attempt_resumes_with_the_metrics_as_they_were(folder):
    attempt = Attempt(folder, **SAME)
    assert (attempt.checkpoint.position.stage, attempt.checkpoint.position.step) == ("main", 20)
    assert read_metrics(folder.metrics) == [{"stage": "main", "epoch": 1}]
    assert [(one["stage"], one["step"]) for one in attempt.attempts] == [(None, 0), ("main", 20)]
    assert attempt.seconds > attempt.checkpoint.position.seconds > 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"teacher": "T" * 64}, "its teacher was trained again"), ({"code": "C"}, "its code was changed")],
)
def test_with_another_teacher_or_other_code_a_run_starts_over(folder, change, reason, capsys):
    attempt = Attempt(folder, **SAME | change)
    assert attempt.checkpoint is None
    assert f"{reason}; the run starts over" in capsys.readouterr().err
    assert not folder.checkpoints.exists() and read_metrics(folder.metrics) == []


def test_a_run_does_not_go_on_from_the_checkpoints_of_another(folder, tmp_path, capsys):
    other = RunFolder(tmp_path / "seed=1-0123456789abcdef")
    shutil.copytree(folder.checkpoints, other.checkpoints)
    assert Attempt(other, **SAME | {"data": "e" * 16}).checkpoint is None
    assert f"{other}: its checkpoints are those of another run; the run starts over" in capsys.readouterr().err
    assert not other.checkpoints.exists()


def test_a_run_does_not_resume_on_other_images(folder):
    with pytest.raises(DamageError, match=r"other images \(fingerprint d+, now e+\): see dataset.data_dir"):
        Attempt(folder, **SAME | {"data": "e" * 16})
    assert list(folder.checkpoints.iterdir())


def test_altered_metrics_are_named_and_written_again(folder, capsys):
    folder.metrics.write_text('{"stage": "main", "epoch": 7}\n')
    Attempt(folder, **SAME)
    assert f"{folder.metrics}: was altered" in capsys.readouterr().err
    assert read_metrics(folder.metrics) == [{"stage": "main", "epoch": 1}]
