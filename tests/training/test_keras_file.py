"""Keras files that anybody may have made: refused in one line, before they need memory or execute anything."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from kd_bench.errors import ConfigError
from kd_bench.training import keras_file
from kd_bench.training.keras_file import load_keras_file
from kd_bench.training.loading import load_model

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "sound.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(path)
    return path


@pytest.fixture
def altered(saved, tmp_path):
    """Replaces a part of a sound file; returns the new file."""

    def replace(name, content, compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / "altered.keras"
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w", compression) as new:
            for member in old.namelist():
                new.writestr(member, content if member == name else old.read(member))
        return path

    return replace


def with_units(saved, units):
    with zipfile.ZipFile(saved) as archive:
        return archive.read(CONFIG).replace(b'"units": 3', b'"units": %d' % units)


def test_a_sound_file_is_loaded(saved):
    assert load_keras_file(saved)(np.ones((1, 4))).shape == (1, 3)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "[]", "{}", "null", "", "\x00", '{"a": 1e999}'])
def test_an_odd_config_is_one_line(content, altered):
    with pytest.raises(ConfigError, match=r"cannot be loaded; .*") as refused:
        load_model(altered(CONFIG, content))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ('{"keras_version": "2.15.0"}', "was saved by Keras 2.15.0 and cannot be loaded by Keras 3.*tf_keras"),
        ('{"keras_version": "2.21.0rc1"}', "was saved by Keras 2.21.0rc1 and cannot be loaded .*tf_keras"),
        ('{"keras_version": "3.999.1"}', "was saved by Keras 3.999.1 .*; save it with this version"),
        ('{"keras_version": "3.0.0"}', "or the file is damaged"),
        ('{"keras_version": 2}', "or the file is damaged"),
        ('{"keras_version": "2.\\n15"}', "or the file is damaged"),
        ("[]", "or the file is damaged"),
    ],
)
def test_another_version_of_keras_is_named_if_the_file_names_it(saved, tmp_path, metadata, said):
    path = tmp_path / "other.keras"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        content = old.read(CONFIG).replace(b'"Sequential"', b'"Functional2"')
        new.writestr(CONFIG, content)
        new.writestr("metadata.json", metadata)
        new.writestr(WEIGHTS, old.read(WEIGHTS))
    with pytest.raises(ConfigError, match=said) as refused:
        load_model(path)
    assert "\n" not in str(refused.value)


def test_a_layer_that_needs_more_memory_than_there_is(saved, altered):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_model(altered(CONFIG, with_units(saved, 10**15)))


def test_code_in_a_lambda_is_not_executed(saved, altered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read(CONFIG))
    lambda_layer = keras.layers.Lambda(lambda images: open("opened", "w"))  # noqa: PTH123, SIM115
    config["config"]["layers"].append(keras.saving.serialize_keras_object(lambda_layer))
    with pytest.raises(ConfigError, match="a layer is not Keras's own or is a Lambda"):
        load_model(altered(CONFIG, json.dumps(config)))
    assert not (tmp_path / "opened").exists()


def test_an_archive_that_unpacks_to_far_more_is_not_unpacked(altered, monkeypatch):
    monkeypatch.setattr(keras_file, "_SMALL", 10**6)
    for part in (CONFIG, WEIGHTS):
        with pytest.raises(ConfigError, match=r"it unpacks to 3.* bytes, which no saved network does"):
            load_model(altered(part, b" " * 30_000_000))


def test_weights_of_which_only_the_shape_is_stored_are_not_read(altered, monkeypatch):
    monkeypatch.setattr(keras_file, "_SMALL", 10**6)
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("layers/dense/vars/0", shape=(10**12,), dtype="f4", chunks=(1000,))
    with pytest.raises(ConfigError, match="it unpacks to 4000000000000 bytes"):
        load_model(altered(WEIGHTS, content.getvalue()))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_one_line(content, tmp_path):
    (tmp_path / "a.keras").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_model(tmp_path / "a.keras")


def test_a_file_that_is_cut_short_is_one_line(saved, tmp_path):
    (tmp_path / "a.keras").write_bytes(saved.read_bytes()[:-30])
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_model(tmp_path / "a.keras")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.set_weights([np.full((4, 3), np.nan), np.zeros(3)])
    model.save(tmp_path / "nan.keras")
    with pytest.raises(ConfigError, match="some of its weights are not finite"):
        load_model(tmp_path / "nan.keras")
