"""Runs of a user's own networks: any method, checkpoints, the record, the saved network, refusals."""

import hashlib
import os
import re
import textwrap

import keras
import numpy as np
import pytest
from helpers.command import ROOT, records, run
from helpers.methods import one_step

from kd_bench.build import build
from kd_bench.complexity import multiply_adds
from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError
from kd_bench.networks.by_layer_name import by_layer_name
from kd_bench.runs.checkpoints import Checkpoints, Position
from kd_bench.training.saving import load_weights, save_network

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
POINTS = "points: [backbone/relu_1, backbone/relu_2]"
NETWORK = "{_target_: helpers.own_networks.nested, width: %d, %s}"


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """Returns what makes a command find two pairs: `own`, with points, and `plain`, without."""
    models = tmp_path_factory.mktemp("my") / "conf" / "model"
    models.mkdir(parents=True)
    for name, points in (("own", POINTS), ("plain", "points: null")):
        teacher, student = (NETWORK % (width, points) for width in (8, 4))
        (models / f"{name}.yaml").write_text(f"name: {name}\nteacher: {teacher}\nstudent: {student}\n")
    return f"hydra.searchpath=[file://{models.parent}]"


def built(search, *arguments):
    (config,) = jobs([search, *arguments])
    return build(config, None)


# A stage of the first three trains a part of the student; CO reads the teacher's batch norms.
@pytest.mark.parametrize("method", ["ab", "fitnet", "fsp", "co"])
def test_a_stage_trains_what_it_names(search, method):
    distiller = built(search, f"method={method}", "model=own").distiller
    for stage in distiller.stages():
        assert all(np.isfinite(value) for value in one_step(distiller, stage).values())


@pytest.mark.parametrize("method", ["dml", "rkd"])
def test_without_points_for_methods_that_read_no_maps(search, method):
    assert "post" not in built(search, f"method={method}", "model=plain").distiller.student.output


SERVE = r"Layers that would serve: backbone/relu_1 \(8x8x8\), .*, backbone \(2x2x24\)\.$"
REFUSED = {
    ("model=plain", "method=at"): r"^method=at needs feature points; model\.teacher has none: set "
    rf"\+\+model\.teacher\.points=\[...\], layers from shallow to deep\. {SERVE}",
    ("model=own", "method=fsp", "model.student.points=[backbone]"): "method=fsp needs 2 or more feature points; "
    "model.student has 1",
    ("model=own", "method=at", "model.student.points=[backbone]"): "equally many feature points .* the teacher has 2 "
    "and the student 1",
    ("model=own", "method=student", "model.student.points=[relu_1]"): r"no layer relu_1\. Did you mean "
    r"backbone/relu_1\?",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_lacks_is_refused_when_it_is_built(search, arguments):
    with pytest.raises(ConfigError, match=REFUSED[arguments]):
        built(search, *arguments)


def blocks(page):
    """Returns the indented blocks of a page of docs/."""
    text = (ROOT / "docs" / page).read_text()
    return list(map(textwrap.dedent, re.findall(r"^ {4}.*\n(?:(?: {4}.*)?\n)*", text, re.MULTILINE)))


def test_the_documented_pair_serves(tmp_path, monkeypatch):
    module, pair, *_ = blocks("own_networks.md")
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(pair.partition("\n\npython run.py")[0])
    (tmp_path / "mine.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    student = built(f"hydra.searchpath=[file://{tmp_path}/conf]", "model=mine", "method=fitnet").distiller.student
    assert [tuple(tensor.shape[1:]) for tensor in student.output["post"]] == [(8, 8, 4), (4, 4, 8)]


def test_the_documented_transformer_has_maps_and_the_documented_weights_are_checked(tmp_path, monkeypatch):
    found = blocks("own_networks.md")
    names = {}
    exec("import hashlib\nfrom pathlib import Path\n" + found[0], names)
    for start in ("def transformer", "def pretrained"):
        exec(next(block for block in found if block.startswith(start)), names)
    points = [f"block{number}_out" for number in range(3)]
    model = names["transformer"]((8, 8, 1), 10, width=8, depth=3)
    maps = by_layer_name("model", model, (8, 8, 1), 10, points).output["passed"]
    assert [tuple(tensor.shape[1:]) for tensor in maps] == [(4, 4, 8)] * 3
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    saved = names["small"]((8, 8, 1), 10, width=2)
    saved.save_weights("weights/new.weights.h5")
    sha256 = hashlib.sha256((tmp_path / "weights/new.weights.h5").read_bytes()).hexdigest()
    (tmp_path / "weights/new.weights.h5").rename(tmp_path / f"weights/{sha256}.weights.h5")
    loaded = names["pretrained"]((8, 8, 1), 10, width=2, sha256=sha256)
    np.testing.assert_array_equal(loaded.weights[0], saved.weights[0])
    (tmp_path / f"weights/{sha256}.weights.h5").write_bytes(b"other")
    with pytest.raises(ValueError, match="has other content"):
        names["pretrained"]((8, 8, 1), 10, width=2, sha256=sha256)


def test_points_do_not_change_the_teachers_run(search):
    own, plain = (jobs([search, f"model={model}", "method=at"])[0].teacher_run() for model in ("own", "plain"))
    assert own.directory == plain.directory
    own, plain = (jobs([search, f"model={model}", "method=at"])[0] for model in ("own", "plain"))
    assert own.digest != plain.digest


def test_a_checkpoint_holds_all_that_a_run_of_it_changes(search, tmp_path):
    one, other = (built(search, "method=fitnet", "model=own").distiller for _ in range(2))
    for distiller in (one, other):
        distiller.begin(distiller.stages()[0], keras.optimizers.SGD(0.1, momentum=0.9), 1, 1)
    one_step(one, one.stages()[0])
    setting = {"metrics": "", "run": "", "data": "", "teacher": "", "code": "", "attempts": []}
    Checkpoints(tmp_path / "there").save(Position("hint", 1, 0.0, 0.0, **setting), one.state)
    Checkpoints(tmp_path / "there").latest().restore(other.state)
    for mine, theirs in zip(one.student.weights, other.student.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert len(one.student.weights) < len(one.state)


def test_branches_come_back_in_their_places(tmp_path):
    def network(points):
        images = keras.Input((4, 4, 1))
        first, second = (keras.layers.Conv2D(2, 3, name=f"branch_{number}")(images) for number in (1, 2))
        joined = keras.layers.Flatten()(keras.layers.Concatenate()([first, second]))
        model = keras.Model(images, keras.layers.Dense(3)(joined))
        return by_layer_name("model", model, (4, 4, 1), 3, points)

    saved, other = network(None), network(["branch_2"])
    other = keras.Model(other.input, {"a_map": other.output["post"][0], **other.output})  # its first output
    save_network(tmp_path / "network.keras", saved, np.zeros(1), np.ones(1))
    load_weights(tmp_path / "network.keras", other)
    images = np.ones((2, 4, 4, 1), np.float32)
    np.testing.assert_array_equal(saved(images)["logits"], other(images)["logits"])


def test_a_run_from_the_command_line(search, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    short = ["model=own", "precision=mixed_bfloat16", "epochs=1", "teacher.epochs=1", "hardware=cpu"]
    refused = run(search, *short, "model=plain", "method=at", outputs=tmp_path, env=environment)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]  # its teacher is not trained first
    done = run(search, *short, "method=fitnet", outputs=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    record = records(tmp_path)["fitnet", 1.0, 0]
    student = built(search, "model=own", "method=student").distiller.student
    assert record["cost"]["parameters"] == student.count_params()
    assert record["cost"]["multiply_adds"] == multiply_adds(student) > 0
    (folder,) = tmp_path.glob("digits/own/fitnet/*/*")
    saved = keras.saving.load_model(folder / "network.keras")
    test = built(search, "model=own", "method=student").held_out
    agreement = np.mean(np.argmax(saved(test.pixels), axis=1) == np.load(folder / "predictions.npy"))
    assert agreement > 0.95
    assert {layer.compute_dtype for layer in saved._flatten_layers()} == {"float32"}
