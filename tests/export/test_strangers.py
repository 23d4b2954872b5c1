"""A run's folder that anybody may have made: nothing that it names is called, and no folder that it names written."""

import numpy as np
import pytest
import yaml
from helpers.records import make_record, write_run

from kd_bench.errors import BenchError
from kd_bench.export.command import main
from kd_bench.export.finished import read_finished
from kd_bench.runs.record import write_record

DIGITS = {"_target_": "kd_bench.data.datasets.load_dataset", "name": "digits", "padding": 1}
OF_FOLDER = {"content": "c" * 8, "test_share": 0.2, "image_size": 8, "channels": 3, "padding": 1, "flip": True}
FOLDER = {"_target_": "kd_bench.data.folder.load_folder", "name": "photos", **OF_FOLDER}


@pytest.fixture
def sent(tmp_path):
    """Writes the folder of a run with this data set in its record and in its config; returns the folder."""

    def write(facts, config=None, content=None):
        record = make_record("Student", 0.9)
        record.config["dataset"] = facts
        path = write_run(tmp_path, record, curve=[0.9], network=b"weights")
        np.save(path / "predictions.npy", np.zeros(3, np.int32))
        record.files["predictions.npy"] = "0" * 64
        from kd_bench.runs.folder import RunFolder

        record.files.update(RunFolder(path).checksums())
        write_record(path / "result.json", record)
        (path / "config.yaml").write_text(content or yaml.safe_dump({"dataset": config or facts}))
        return path

    return write


@pytest.mark.parametrize(
    "facts",
    [
        {"_target_": "subprocess.call", "name": "touch PWNED", "shell": True},
        {"_target_": "os.system", "name": "touch PWNED"},
        {"_target_": "kd_bench.data.datasets.Path.touch", "name": "PWNED"},
        {"_target_": "kd_bench.data.arrays.np.save", "name": "PWNED"},
        {"_target_": None, "name": "digits"},
        {"_target_": ["os.system"], "name": "digits"},
        {"name": "digits"},
        {"_target_": "os.system", "name": "touch PWNED"},
        "os.system",
        None,
    ],
)
def test_a_function_that_a_record_names_is_not_called(facts, sent, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(sent(facts, DIGITS)), "--formats", "litert"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "result.json: " in err
    assert not list(tmp_path.rglob("PWNED*"))


def test_what_the_config_names_does_not_matter(sent):
    evil = {"_target_": "subprocess.call", "name": "touch PWNED", "shell": True}
    data = read_finished(sent(DIGITS, evil)).data
    assert (data.target, data.name, data.parameters) == (DIGITS["_target_"], "digits", {"padding": 1})


def test_a_function_of_the_user_is_called_if_the_command_names_it(sent):
    mine = {"_target_": "helpers.records.make_record", "name": "mine"}
    with pytest.raises(BenchError, match=r"helpers\.records\.make_record, .* add --trust and its name"):
        read_finished(sent(mine))
    assert read_finished(sent(mine), trusted=["helpers.records.make_record"]).data.target == mine["_target_"]


def test_own_images_are_where_the_config_says(sent, tmp_path):
    config = FOLDER | {"root": str(tmp_path), "padding": 3}
    data = read_finished(sent(FOLDER, config)).data
    assert data.parameters == OF_FOLDER | {"root": str(tmp_path)}


def test_a_folder_of_prepared_sets_must_be_given(sent, tmp_path):
    config = DIGITS | {"data_dir": "/somewhere", "manual_dir": "/else"}
    with pytest.raises(BenchError, match=r"its data are in /somewhere; .* add --data-dir"):
        read_finished(sent(DIGITS, config))
    data = read_finished(sent(DIGITS, config), data_dir=str(tmp_path)).data
    assert data.parameters == {"padding": 1, "data_dir": str(tmp_path)}


@pytest.mark.parametrize(
    "content",
    ["[", "a: &a [1]\nb: *a", "[" * 100_000, "dataset: 3", "dataset: {root: 3}", "!!python/name:os.x ''"],
)
def test_an_odd_config_is_one_line(content, sent, capsys):
    assert main([str(sent(DIGITS, content=content))]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "config.yaml: cannot be read (" in err


@pytest.mark.parametrize("parameters", [{"shell": True}, {"padding": -1}, {"padding": 2**64}, {"name": "x", "flip": 3}])
def test_odd_parameters_are_one_line(parameters, sent, capsys):
    assert main([str(sent(DIGITS | parameters, DIGITS))]) == 2
    assert capsys.readouterr().err.count("\n") == 1
