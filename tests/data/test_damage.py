"""Prepared folders that are cut short, altered or another set's: named, with the way out, and never used."""

import json
import os
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
    return load_dataset(name, padding=1, data_dir=str(folder.parents[1]), **parameters)


def refusal(folder, **parameters) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, **parameters)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_named(folder, problem, *files, **parameters):
    """The message names the folder, or one of its files, the problem and the way out."""
    message = refusal(folder, **parameters)
    places = [folder / name for name in files] or [folder]
    assert message.startswith(tuple(f"{place}: cannot be used: " for place in places))
    assert re.search(problem, message)
    assert message.endswith(f"; delete {folder} to have it prepared again, or copy it again.")


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


def replace(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new))


SHARDS = {
    "cut in a record": (cut(-10), "truncated record"),
    "cut between records": (keep_records(100), "holds 100 images, not the 1297 of dataset_info.json"),
    "cut to nothing": (cut(0), "holds 0 images, not the 1297"),
    "length altered": (flip(2), "corrupted record"),
    "image altered": (flip(100), "corrupted record"),
    "missing": (Path.unlink, "No such file"),
    "a folder in its place": (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
}
METADATA = {
    "info cut short": (INFO, lambda path: cut(path.stat().st_size // 2)(path), "ParseError"),
    "info cut to nothing": (INFO, cut(0), "ParseError"),
    "info that is no text": (INFO, lambda path: path.write_bytes(b"\xff\xfe"), "UnicodeDecodeError"),
    "info without content": (INFO, lambda path: path.write_text("{}"), "version"),
    "info missing": (INFO, Path.unlink, "it has no dataset_info.json"),
    "info of another set": (INFO, change(name="mnist"), "it describes mnist 1.0.0"),
    "info of another version": (INFO, change(version="2.0.0"), "it describes digits 2.0.0"),
    "info of another format": (INFO, change(fileFormat="none such"), "ValueError"),
    "info without splits": (INFO, change(splits=[]), "it lists no splits"),
    "lengths that are none": (INFO, splits(train=["many"]), "ParseError"),
    "features cut short": (FEATURES, lambda path: cut(path.stat().st_size // 2)(path), "JSONDecodeError"),
    "features cut to nothing": (FEATURES, cut(0), "JSONDecodeError"),
    "features without content": (FEATURES, lambda path: path.write_text("{}"), "ValueError"),
    "features missing": (FEATURES, Path.unlink, "it has no features.json"),
    "features of other images": (FEATURES, replace('"8"', '"9"'), r"image is Image\(shape=\(9, 9, 1\).* belongs"),
    "features of other classes": (FEATURES, replace('"10"', '"11"'), r"label is .*num_classes=11\).* belongs"),
    "features of other names": (FEATURES, replace('"label"', '"target"'), "label is missing"),
}
LENGTHS = {"more images": ["1298"], "fewer images": ["1296"], "a shard more": ["1000", "297"]}
# Where a version is asked for by its number, TensorFlow Datasets brings no code to compare features with.
ALTERED = [(name, version) for name in METADATA for version in ("", ":1.0.0") if not (version and "of other" in name)]


@pytest.mark.parametrize("split", ["train", "train[:90%]"])
@pytest.mark.parametrize("damage", SHARDS)
def test_a_damaged_shard_is_named(folder, damage, split):
    harm, problem = SHARDS[damage]
    harm(folder / TRAIN)
    assert_named(folder, problem, TRAIN, train_split=split)


@pytest.mark.parametrize("split", ["train", "train[:90%]"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_shards_of_other_lengths_than_the_metadata_say_are_named(folder, lengths, split):
    splits(train=LENGTHS[lengths])(folder / INFO)
    number = len(LENGTHS[lengths])
    shards = [TRAIN.replace("00000-of-00001", f"0000{index}-of-0000{number}") for index in range(number)]
    assert_named(folder, "No such file|holds 1297 images, not the 129[68]", *shards, train_split=split)


@pytest.mark.parametrize(("damage", "version"), ALTERED)
def test_damaged_metadata_are_named(folder, damage, version):
    name, harm, problem = METADATA[damage]
    harm(folder / name)
    assert_named(folder, problem, "", name, name=f"digits{version}")


def test_a_split_that_the_metadata_lack_is_named_with_the_folder(folder):
    change(splits=[{"name": "test", "shardLengths": ["500"]}])(folder / INFO)
    message = refusal(folder)
    assert message.startswith("dataset.train_split=train: digits has the splits test; name one")
    assert message.endswith(f"delete {folder} to have it prepared again, or copy it again.")


@pytest.mark.parametrize("lengths", [[], ["0"]])
def test_a_split_that_is_empty_by_the_metadata_is_named_with_the_folder(folder, lengths):
    splits(train=lengths)(folder / INFO)
    message = refusal(folder)
    assert message.startswith("dataset.train_split=train: holds no images of digits; name another split")
    assert message.endswith(f"delete {folder} to have it prepared again, or copy it again.")


def test_another_sets_folder_under_this_name_is_refused(prepared, tmp_path):
    other = Path(shutil.copytree(prepared, tmp_path / "fashion_mnist/3.0.1"))
    change(name="mnist", version="3.0.1")(other / INFO)
    for path in other.glob("digits-*"):
        path.rename(other / path.name.replace("digits", "mnist"))
    assert_named(other, "it describes mnist 3.0.1", INFO, name="fashion_mnist")
    assert_named(other, "it describes mnist 3.0.1", INFO, name="fashion_mnist:3.0.1")


@pytest.mark.parametrize("kept", [[], [INFO], [FEATURES], [INFO, FEATURES], [TRAIN]])
def test_a_copy_cut_short_is_refused(folder, kept):
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
    assert_named(folder, "it has no|No such file", "", TRAIN)


def test_a_file_in_place_of_the_folder_is_refused(folder):
    shutil.rmtree(folder)
    folder.touch()
    assert_named(folder, "it has no dataset_info.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["", INFO, FEATURES, TRAIN])
def test_what_may_not_be_read_is_named(folder, name):
    (folder / name).chmod(0)
    try:
        assert_named(folder, "[Pp]ermission denied|Could not read", "", name)
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("left", [[], [TRAIN], ["1.0.0"]])
def test_a_set_without_code_that_is_hardly_there_is_named(tmp_path, left):
    folder = tmp_path / "own/1.0.0"
    folder.mkdir(parents=True)
    for name in left:
        (folder / name).touch()
    assert f"What is in {tmp_path / 'own'} is no prepared set" in refusal(folder, name="own")


def test_an_undamaged_folder_is_read_whatever_else_lies_beside_it(folder, prepared):
    (folder.parent / "incomplete.ABCDEF_1.0.0").mkdir()
    (folder.parent / "incomplete.ABCDEF_1.0.0" / FEATURES).touch()
    assert load(folder).fingerprint == load(prepared).fingerprint


def test_what_lies_beside_is_not_blamed_for_a_version_that_does_not_exist(folder):
    (folder.parent / "incomplete.ABCDEF_1.0.0").mkdir()
    (folder.parent / "incomplete.ABCDEF_1.0.0" / FEATURES).touch()
    assert refusal(folder, name="digits:9.9.9").startswith("dataset.name=digits:9.9.9: ")


def test_a_set_prepared_by_another_process_meanwhile_is_read(prepared, tmp_path):
    builder = preparation.find_builder("digits", str(tmp_path), None)
    shutil.copytree(prepared, tmp_path / "digits/1.0.0")
    preparation.prepare(builder, None)
    assert builder.info.splits["train"].num_examples == 1297


def test_once_deleted_it_is_prepared_again(folder, prepared, monkeypatch):
    cut(-10)(folder / TRAIN)
    refusal(folder)
    shutil.rmtree(folder)
    assert load(folder).fingerprint == load(prepared).fingerprint
    monkeypatch.setattr(digits.Digits, "_generate_examples", None)  # now it is read, not made
    assert np.array_equal(load(folder).test.labels, load(prepared).test.labels)
