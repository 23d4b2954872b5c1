"""Checkpoints: what is restored is what was saved, and what is damaged is never restored."""

import keras
import numpy as np
import pytest
from helpers.damage import cut, flip

from kd_bench.errors import DamageError, StorageError
from kd_bench.runs.checkpoints import Checkpoints, Position

POSITION = Position(
    "main",
    40,
    1.5,
    1.0,
    '{"epoch": 1}\n',
    "seed=0-01",
    "0123456789abcdef",
    "",
    "fedcba98",
    [{"began": "now", "step": 0}],
)


def variables(generator, *shapes):
    return [keras.Variable(generator.normal(size=shape).astype(np.float32)) for shape in shapes]


@pytest.fixture
def kept(generator):
    return [*variables(generator, (3, 2), (), (4,)), keras.Variable(7, dtype="int64", trainable=False)]


def test_everything_comes_back(tmp_path, kept):
    Checkpoints(tmp_path / "checkpoints").save(POSITION, kept)
    checkpoint = Checkpoints(tmp_path / "checkpoints").latest()
    assert checkpoint.position == POSITION
    others = [keras.Variable(np.zeros(v.shape, v.dtype), dtype=v.dtype, trainable=False) for v in kept]
    checkpoint.restore(others)
    for one, other in zip(kept, others, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
        assert one.dtype == other.dtype


def test_two_are_kept_and_the_newest_counts(tmp_path, kept):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.progress_text() == "before its first checkpoint"
    for step in (20, 40, 60, 5):
        checkpoints.save(Position("main", step, 0, 0, "", "", "", "", "", []), kept)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    assert Checkpoints(tmp_path / "checkpoints").latest().position.step == 5
    assert checkpoints.progress_text() == "after stage main, step 5"


def empty(path):
    path.write_bytes(b"")


def replace_with_folder(path):
    path.unlink()
    path.mkdir()


def put_a_pickle(path):
    import hashlib
    import pickle

    content = pickle.dumps({"head": print})
    path.unlink()
    path.with_name(f"000009-main-60-{hashlib.sha256(content).hexdigest()[:16]}.safetensors").write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, empty, replace_with_folder, put_a_pickle])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path, kept, damage, capsys):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(POSITION, kept)
    checkpoints.save(Position("main", 60, 0, 0, "", "", "", "", "", []), kept)
    damage(max(tmp_path.rglob("*.safetensors")))
    assert checkpoints.latest().position == POSITION
    assert f"{max(tmp_path.rglob('*.safetensors'))}: is damaged" in capsys.readouterr().err


def test_if_all_are_damaged_there_is_none(tmp_path, kept, capsys):
    Checkpoints(tmp_path / "checkpoints").save(POSITION, kept)
    cut(*tmp_path.rglob("*.safetensors"))
    assert Checkpoints(tmp_path / "checkpoints").latest() is None
    assert "is damaged" in capsys.readouterr().err


def test_a_half_written_file_does_not_count(tmp_path, kept):
    Checkpoints(tmp_path / "checkpoints").save(POSITION, kept)
    (path,) = tmp_path.rglob("*.safetensors")
    path.with_name(f".{path.name}.123.tmp").write_bytes(path.read_bytes()[:50])
    assert Checkpoints(tmp_path / "checkpoints").latest().position == POSITION


def test_another_networks_checkpoint_is_refused_before_anything_changes(tmp_path, kept, generator):
    Checkpoints(tmp_path / "checkpoints").save(POSITION, kept)
    others = variables(generator, (3, 2), (), (5,))
    before = [variable.numpy() for variable in others]
    with pytest.raises(DamageError, match=r"another network or method.* delete the folder"):
        Checkpoints(tmp_path / "checkpoints").latest().restore(others)
    for value, variable in zip(before, others, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


def test_a_folder_that_cannot_be_made_is_named(tmp_path, kept):
    (tmp_path / "checkpoints").touch()
    with pytest.raises(StorageError, match=r"checkpoints: cannot be written"):
        Checkpoints(tmp_path / "checkpoints").save(POSITION, kept)


def test_deleting_what_is_not_there(tmp_path):
    Checkpoints(tmp_path / "checkpoints").delete()
    assert not list(tmp_path.iterdir())
