"""The exported networks of one real run, and what cannot be exported."""

import json
import pickletools
import re
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from kd_bench import execution
from kd_bench.config.compose import jobs
from kd_bench.export import formats, packages
from kd_bench.export.command import main
from kd_bench.export.finished import read_finished
from kd_bench.results.command import main as print_tables
from kd_bench.runs.exports import ARTEFACTS, artefact, measurements
from kd_bench.runs.folder import RunFolder, find_runs
from kd_bench.runs.record import read_record, write_record
from kd_bench.runs.standing import read_standing
from kd_bench.training.pytorch_file import read_state_dict

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
FLOATS = ["saved_model", "litert", "onnx", "pytorch"]
SHORT = ["method=student", "model.student.padding=symmetric", "fraction=0.2", "epochs=3", "hardware=cpu"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    (config,) = jobs([*SHORT, f"outputs={tmp_path_factory.mktemp('export')}"])
    execution.run(config)
    return config


@pytest.fixture(scope="module")
def exported(config):
    """Exports the run in all formats; returns its folder."""
    if not all(map(packages.importlib.util.find_spec, ("tf2onnx", "onnxruntime"))):
        pytest.skip("needs the extra export")
    assert main([str(config.directory), "--formats", *FLOATS, "--int8"]) == 0
    return RunFolder(config.directory)


@pytest.fixture
def copy(config, tmp_path):
    """Copies the run, without what was exported; returns the folder of the copy."""
    shutil.copytree(config.directory, tmp_path / "run", ignore=shutil.ignore_patterns("export"))
    return RunFolder(tmp_path / "run")


@pytest.fixture
def refused(capsys):
    """Runs the command, which must end with this status and one line; returns the line."""

    def check(*arguments, status=2):
        assert main(list(map(str, arguments))) == status
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err

    return check


@pytest.mark.parametrize("form", FLOATS)
def test_a_network_in_floats_predicts_from_raw_pixels_what_the_run_predicted(form, exported):
    finished = read_finished(exported.path)
    runtime = formats.load(form, artefact(exported, form), formats.load_network(exported.network), finished)
    images = finished.dataset.test
    logits = np.concatenate(
        [runtime.logits(runtime.prepare(images.pixels[part])) for part in (slice(1), slice(1, None))]
    )
    np.testing.assert_array_equal(logits.argmax(axis=1), np.load(exported.predictions))
    measured = json.loads(measurements(exported, form).read_text())
    assert measured["accuracy"] == read_record(exported.record).scores.last_accuracy
    assert measured["differing"] == 0


def test_the_saved_model_takes_pixels_from_0_to_255(exported):
    images = read_finished(exported.path).dataset.test
    network = tf.saved_model.load(exported.path / "export/saved_model")
    logits = network.serve(images.pixels.astype(np.float32))
    np.testing.assert_array_equal(np.argmax(logits, axis=1), np.load(exported.predictions))


def test_pytorchs_checkpoint_has_its_names_and_the_normalisation(exported):
    path, dataset = artefact(exported, "pytorch"), read_finished(exported.path).dataset
    tensors, network = read_state_dict(path), formats.load_network(exported.network).get_layer("network")
    (stem, *_), *_ = (layer.get_weights() for layer in network.layers if layer.name == "conv2d")
    np.testing.assert_array_equal(tensors["conv1.weight"], stem.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(tensors["fc.weight"], network.get_layer("logits").get_weights()[0].T)
    (pickled,) = [zipfile.ZipFile(path).read("network/data.pkl")]
    calls = {argument for code, argument, _ in pickletools.genops(pickled) if code.name == "GLOBAL"}
    named = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage", "torch LongStorage"}
    assert calls == named  # all that `torch.load(weights_only=True)` needs to know
    numbers = [argument for code, argument, _ in pickletools.genops(pickled) if code.name == "BINFLOAT"]
    np.testing.assert_allclose(numbers, [*dataset.mean / 255, *dataset.std / 255], rtol=1e-5)


def test_a_network_that_is_another_function_in_pytorch_is_refused(copy, refused):
    config = read_record(copy.record).config
    del config["model"]["student"]["padding"]
    rewrite(copy, config=config)
    message = refused(copy.path, "--formats", "pytorch", status=1)
    assert message.startswith("error: model.student.padding=same: in PyTorch's code this network has padding=symmetric")
    assert list(copy.exports.iterdir()) == []


def test_eight_bits_are_integers_throughout_and_nearly_as_good(exported):
    measured = {form: json.loads(measurements(exported, form).read_text()) for form in ("litert", "litert_int8")}
    assert measured["litert_int8"]["size_bytes"] < 0.6 * measured["litert"]["size_bytes"]
    assert measured["litert_int8"]["accuracy"] > measured["litert"]["accuracy"] - 0.1
    with pytest.warns(UserWarning, match=r"tf\.lite\.Interpreter is deprecated"):
        interpreter = tf.lite.Interpreter(str(artefact(exported, "litert_int8")))
    kinds = {np.dtype(tensor["dtype"]) for tensor in interpreter.get_tensor_details()}
    assert kinds <= {np.dtype(name) for name in ("uint8", "int8", "int32")}
    assert interpreter.get_input_details()[0]["quantization"] == (1.0, 0)  # the bytes of an image, as they are


def test_what_is_measured_is_complete(exported):
    for form in ARTEFACTS:
        measured = json.loads(measurements(exported, form).read_text())
        files = [path for path in (artefact(exported, form), *artefact(exported, form).rglob("*")) if path.is_file()]
        assert measured["size_bytes"] == sum(len(path.read_bytes()) for path in files) > 10_000
        if form == "pytorch":  # Keras executed a copy: its times would say nothing of PyTorch's
            assert (measured["latency_ms"], measured["images_per_second"]) == (None, None)
        else:
            assert 0 < measured["latency_ms"] < 1000
            assert measured["images_per_second"] > 1000 / measured["latency_ms"] / 10
        assert (measured["batch_size"], measured["images"]) == (64, 500)
    of_onnx = json.loads(measurements(exported, "onnx").read_text())
    assert set(of_onnx["versions"]) == {"keras", "tensorflow", "tf2onnx", "onnxruntime"}
    assert {path.name for path in exported.exports.iterdir()} == {
        *ARTEFACTS.values(),
        *(f"{form}.json" for form in ARTEFACTS),
    }


def test_the_run_stays_as_it_was(config, exported, capsys):
    assert read_standing(config).done
    assert [folder.path for folder, _ in find_runs(exported.path.parents[4])] == [exported.path]
    outputs = str(exported.path.parents[4])
    assert print_tables(["--outputs", outputs, "--verify", "--columns", "parameters", "size", "latency"]) == 0
    header = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| Method"))
    assert "Latency, ms (litert_int8)" in header
    assert "Size, kB (onnx)" in header
    assert "Size, kB (pytorch)" in header and "Latency, ms (pytorch)" not in header


def test_another_export_replaces_the_first_and_goes_on_after_a_format_that_fails(exported, capsys, monkeypatch):
    write, before = formats.write, measurements(exported, "saved_model").read_text()

    def failing(form, *arguments):
        if form == "litert":
            raise RuntimeError("no such operation\nat 0x123")
        write(form, *arguments)

    monkeypatch.setattr(formats, "write", failing)
    assert main([str(exported.path), "--formats", "litert", "saved_model"]) == 1
    out, err = capsys.readouterr()
    assert err == "error: litert: the network cannot be exported in this format (no such operation).\n"
    assert "| saved_model | export/saved_model |" in out
    assert measurements(exported, "saved_model").read_text() != before


def test_a_network_that_predicts_something_else_is_refused_and_leaves_nothing(copy, refused, monkeypatch):
    load = formats.load

    def shifted(form, *given):
        runtime = load(form, *given)
        return replace(runtime, logits=lambda images: np.roll(runtime.logits(images), 1, axis=1))

    monkeypatch.setattr(formats, "load", shifted)
    message = refused(copy.path, "--formats", "saved_model", status=1)
    assert re.match(r"error: saved_model: \d{3} of 500 test images get another class than in ", message)
    assert list(copy.exports.iterdir()) == []


def test_the_examples_are_images_that_the_run_learned_from(copy):
    finished = read_finished(copy.path)
    examples, train = finished.examples(), finished.dataset.train.pixels
    assert len(examples) == 259  # a fifth of 1297: it saw no others
    np.testing.assert_array_equal(examples, finished.examples())
    assert all((train == image).all(axis=(1, 2, 3)).any() for image in examples[:20])


def test_other_data_are_refused(copy, refused):
    config = read_record(copy.record).config
    config["dataset"]["train_split"] = "train[:50%]"
    rewrite(copy, config=config)
    assert "its data set digits has other images now" in refused(copy.path, status=1)


def test_a_copy_of_a_teacher_s_file_is_refused(copy, refused):
    network = formats.keras.saving.load_model(copy.network).get_layer("network")
    network.save(copy.network)
    rewrite(copy, files=copy.checksums())
    assert "does not normalise its images itself" in refused(copy.path, status=1)


def rewrite(folder, **changes):
    write_record(folder.record, replace(read_record(folder.record), **changes))


def test_what_is_no_finished_run_is_refused(copy, refused, tmp_path):
    assert refused(tmp_path / "none").endswith("none: is not the folder of a run. A finished run has a result.json.\n")
    assert "is not the folder of a run" in refused(copy.network)
    assert "is not the folder of a run" in refused(tmp_path)
    rewrite(copy, config=read_record(copy.record).config | {"validation": 0.1})
    assert "choose a run with validation=0" in refused(copy.path)
    rewrite(copy, status="failed", reason="loss is NaN")
    assert "this run failed (loss is NaN)" in refused(copy.path)
    copy.record.unlink()
    assert "this run is not finished" in refused(copy.path)


def test_damaged_and_missing_files_are_refused(copy, refused):
    copy.predictions.write_bytes(b"")
    assert "predictions.npy: is not what the run wrote" in refused(copy.path)
    copy.predictions.unlink()
    assert "predictions.npy: is missing" in refused(copy.path)
    copy.record.write_text("{")
    assert "result.json" in refused(copy.path)


def test_a_missing_package_is_named_with_its_extra(copy, refused, monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else object())
    assert refused(copy.path, "--formats", "saved_model", "onnx") == (
        "error: onnx: needs tf2onnx; install the extra export: pip install '.[export]'.\n"
    )


def test_an_unknown_format_is_refused(copy, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(copy.path), "--formats", "onyx"])
    assert ended.value.code == 2
    assert "invalid choice: 'onyx'" in capsys.readouterr().err
