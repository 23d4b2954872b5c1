"""Prepared folders that are cut short, altered or another set's: named, with the way out, and never used."""

import json
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from kd_bench.data import digits, preparation
from kd_bench.data.datasets import load_dataset
from kd_bench.errors import DataError

INFO, FEATURES, TRAIN = "dataset_info.json", "features.json", "digits-train.tfrecord-00000-of-00001"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("data")
    load_dataset("digits", padding=1, data_dir=str(data_dir))
    return data_dir / "digits/1.0.0"


@pytest.fixture
def folder(prepared, tmp_path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "digits/1.0.0"))


def load(folder, name="digits", **parameters):
    dataset = load_dataset(name, padding=1, data_dir=str(folder.parents[1]), **parameters)
    assert len(dataset.test)  # is read when it is asked for
    return dataset


def assert_named(folder, problem, remedy="delete it, so that it is prepared again, or copy it again", **parameters):
    """The message is one line with the folder, the problem and the way out."""
    with pytest.raises(DataError) as caught:
        load(folder, **parameters)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{folder}: cannot be used: ")
    assert re.search(problem, message)
    assert message.endswith(f"; {remedy}.")


def cut(length):
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def flip(place):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(bytes(content))

    return damage


def keep_records(number):
    """Cuts where a record ends: length, its checksum (4), the record, its checksum (4)."""

    def damage(path):
        content, end = path.read_bytes(), 0
        for _ in range(number):
            end += 8 + 4 + struct.unpack_from("<Q", content, end)[0] + 4
        path.write_bytes(content[:end])

    return damage


def change(**values):
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def splits(**shard_lengths):
    def damage(path):
        info = json.loads(path.read_text())
        for split in info["splits"]:
            split["shardLengths"] = shard_lengths.get(split["name"], split["shardLengths"])
        path.write_text(json.dumps(info))

    return damage


SHARDS = {
    "cut in a record": (cut(-10), "truncated record"),
    "cut between records": (keep_records(100), "100"),
    "length altered": (flip(2), "corrupted record"),
    "image altered": (flip(100), "corrupted record"),
    "missing": (Path.unlink, f"{TRAIN}; No such file"),
}
LENGTHS = {
    "more images": (["1298"], "129[78]"),
    "fewer images": (["1296"], "129[67]"),
    "a shard more": (["1000", "297"], "No such file"),
}
METADATA = {
    "cut short": (lambda path: cut(path.stat().st_size // 2)(path), "ParseError"),
    "cut to nothing": (cut(0), "ParseError"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe"), "UnicodeDecodeError"),
    "without content": (lambda path: path.write_text("{}"), "version"),
    "missing": (Path.unlink, rf"{INFO}"),
    "of another set": (change(name="mnist"), "mnist-train.*No such file"),
    "of another format": (change(fileFormat="none such"), "none such"),
    "with lengths that are none": (splits(train=["many"]), "ParseError"),
}


@pytest.mark.parametrize("split", ["train", "train[:90%]"])
@pytest.mark.parametrize("damage", SHARDS)
def test_a_damaged_file_of_records_is_refused(folder, damage, split):
    harm, problem = SHARDS[damage]
    harm(folder / TRAIN)
    assert_named(folder, problem, train_split=split)


@pytest.mark.parametrize("split", ["train", "train[:90%]"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_files_of_other_lengths_than_the_metadata_say_are_refused(folder, lengths, split):
    shard_lengths, problem = LENGTHS[lengths]
    splits(train=shard_lengths)(folder / INFO)
    assert_named(folder, problem, train_split=split)


@pytest.mark.parametrize("name", ["digits", "digits:1.0.0"])
@pytest.mark.parametrize("damage", METADATA)
def test_damaged_metadata_are_refused(folder, damage, name):
    harm, problem = METADATA[damage]
    harm(folder / INFO)
    assert_named(folder, problem, name=name)


def test_metadata_of_another_version_are_refused(folder):
    change(version="2.0.0")(folder / INFO)
    assert_named(folder, "describes version 2.0.0")


def test_damaged_features_are_refused_where_the_set_has_no_code(prepared, tmp_path):
    folder = Path(shutil.copytree(prepared, tmp_path / "own/1.0.0"))
    cut(100)(folder / FEATURES)
    assert_named(folder, "JSONDecodeError", name="own")


@pytest.mark.parametrize("kept", [[], [INFO], [FEATURES], [TRAIN]])
def test_a_copy_cut_short_is_refused(folder, kept):
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
    assert_named(folder, f"{INFO}|{TRAIN}; No such file")


def test_a_file_in_place_of_the_folder_is_refused(folder):
    shutil.rmtree(folder)
    folder.touch()
    assert_named(folder, INFO)


@pytest.mark.parametrize("name", ["", INFO, TRAIN])
def test_what_may_not_be_read_is_named(folder, name, request):
    (folder / name).chmod(0)
    request.getfixturevalue("as_stranger")
    assert_named(folder, "[Pp]ermission denied|Could not read", remedy="make it readable")


def test_an_undamaged_folder_is_read_whatever_else_lies_beside_it(folder, prepared):
    (folder.parent / "incomplete.ABCDEF_1.0.0").mkdir()
    (folder.parent / "incomplete.ABCDEF_1.0.0" / FEATURES).touch()
    assert load(folder).fingerprint == load(prepared).fingerprint


def test_what_lies_beside_is_not_blamed_for_a_version_that_does_not_exist(folder):
    (folder.parent / "incomplete.ABCDEF_1.0.0").mkdir()
    (folder.parent / "incomplete.ABCDEF_1.0.0" / FEATURES).touch()
    with pytest.raises(DataError, match=r"^dataset\.name=digits:9\.9\.9: Dataset .* only: 1\.0\.0\.$"):
        load(folder, name="digits:9.9.9")


def test_a_set_prepared_by_another_process_meanwhile_is_read(prepared, tmp_path):
    builder = preparation.find_builder("digits", str(tmp_path), None)
    shutil.copytree(prepared, tmp_path / "digits/1.0.0")
    preparation.prepare(builder, None)
    assert builder.info.splits["train"].num_examples == 1297


def test_once_deleted_it_is_prepared_again(folder, prepared, monkeypatch):
    cut(-10)(folder / TRAIN)
    assert_named(folder, "truncated record")
    shutil.rmtree(folder)
    assert load(folder).fingerprint == load(prepared).fingerprint
    monkeypatch.setattr(digits.Digits, "_generate_examples", None)  # now it is read, not made
    assert np.array_equal(load(folder).test.labels, load(prepared).test.labels)


@pytest.mark.parametrize("deeper", ["digits", "digits/1.0.0"])
@pytest.mark.parametrize("name", ["digits", "digits:1.0.0"])
def test_a_data_dir_inside_the_set_is_recognised_before_anything_is_prepared(folder, deeper, name):
    before = sorted(folder.parents[1].rglob("*"))
    inside = folder.parents[1] / deeper
    with pytest.raises(DataError) as caught:
        load_dataset(name, padding=1, data_dir=str(inside))
    root = folder.parents[1]
    assert str(caught.value) == f"dataset.data_dir={inside}: is inside a prepared set; set dataset.data_dir={root}."
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    ("set_folder", "given", "advice"),
    [
        ("renamed/1.0.0", "renamed", "set it to a folder that holds digits/1.0.0"),
        ("renamed/1.0.0", "renamed/1.0.0", "set it to a folder that holds digits/1.0.0"),
        ("digits/small/1.0.0", "digits", "set dataset.data_dir={root}"),
        ("digits/small/1.0.0", "digits/small", "set dataset.data_dir={root}"),
    ],
)
def test_a_renamed_set_and_one_with_configurations_are_recognised(prepared, tmp_path, set_folder, given, advice):
    shutil.copytree(prepared, tmp_path / set_folder)
    with pytest.raises(DataError) as caught:
        load_dataset("digits", padding=1, data_dir=str(tmp_path / given))
    told = advice.format(root=tmp_path)
    assert str(caught.value) == f"dataset.data_dir={tmp_path / given}: is inside a prepared set; {told}."


def test_a_data_dir_may_have_the_name_of_the_set(prepared, tmp_path):
    copy = tmp_path / "digits/digits/1.0.0"
    shutil.copytree(prepared, copy)
    assert load(copy).num_classes == 10


def test_a_name_in_capital_letters_is_recognised(tmp_path):
    with pytest.raises(DataError, match=r"no such set\. Did you mean .*cifar100"):
        load_dataset("CIFAR100", data_dir=str(tmp_path))
