"""Networks by name, on the command line and in the files of pairs."""

import pytest

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError

PAIRS = [
    *(("wrn_40_2", "wrn_16_2"), ("wrn_40_2", "wrn_40_1"), ("resnet56", "resnet20"), ("resnet110", "resnet20")),
    *(("resnet110", "resnet32"), ("resnet32x4", "resnet8x4"), ("vgg13", "vgg8"), ("vgg13", "mobilenet_v2")),
    *(("resnet50", "mobilenet_v2"), ("resnet50", "vgg8"), ("resnet32x4", "shufflenet_v1")),
    *(("resnet32x4", "shufflenet_v2"), ("wrn_40_2", "shufflenet_v1")),
]
"""The pairs of RepDistiller's two tables of CIFAR-100."""


def one(*arguments):
    (run,) = jobs(["method=at", *arguments])
    return run


@pytest.mark.parametrize(("teacher", "student"), PAIRS)
def test_two_names_are_the_pair_of_both_names(teacher, student):
    preset = one(f"model={teacher}_{student}")
    named = one(f"model.teacher={teacher}", f"model.student={student}")
    assert (named.digest, named.directory, named.model) == (preset.digest, preset.directory, preset.model)
    assert named.variant == {"model.teacher": teacher, "model.student": student}
    assert {part.parameters["padding"] for part in (named.model.teacher, named.model.student)} == {"symmetric"}


def test_one_name_changes_one_network_of_the_pair():
    run, usual = one("model.student=resnet8"), one()
    assert run.model.teacher == usual.model.teacher
    assert run.model.student == one("model.teacher=resnet56", "model.student=resnet8").model.student
    assert (run.model.name, run.variant) == (usual.model.name, {"model.student": "resnet8"})


def test_names_can_be_swept():
    runs = jobs(["-m", "method=student", "model.student=resnet8,wrn_16_1"])
    assert [run.model.student.target.rpartition(".")[2] for run in runs] == ["resnet", "wide_resnet"]
    assert len({run.directory for run in runs}) == 2


def test_a_pair_in_a_file_may_name_its_networks_and_networks_of_the_users(tmp_path):
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "thin.yaml").write_text("defaults: [vgg, _self_]\nstem_channels: 2\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("name: mine\nteacher: vgg8\nstudent: thin\n")
    run = one("model=mine", "--config-dir", str(tmp_path))
    assert run.model.name == "vgg8_thin"
    assert run.model.student.parameters["stem_channels"] == 2


REFUSED = {
    "model.student=ShuffleV1": "there is no such network. Here it is shufflenet_v1. Choose one of: ",
    "model.student=ResNet50": "there is no such network. Here it is resnet50. Choose one of: ",
    "model.teacher=resnet33": "there is no such network. Did you mean resnet",
    "model.student=3": "must be a group with a `_target_`",
    "model.student.padding=valid": "must be one of same, symmetric",
    "model=resnet8x4": "there is no such model. Here it is resnet32x4_resnet8x4, a pair; model.teacher=... and",
    "model=ShuffleV2": "there is no such model. Here it is resnet32x4_shufflenet_v2, a pair; ",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused(line):
    with pytest.raises(ConfigError) as refused:
        one(line)
    assert str(refused.value).startswith(f"{line}: {REFUSED[line]}")


BESIDE = [
    ["model.student=vgg8", "model.student.points=[1,2,3]"],
    ["model=vgg13_vgg8", "model.student.points=[1,2,3]", "model.student=vgg8"],  # Hydra would forget the points
    ["-m", "model.student=vgg8", "model.student.points=[1,2,3],[2,3,4]"],
]


@pytest.mark.parametrize("arguments", BESIDE)
def test_a_value_beside_a_name_is_refused_with_what_to_write(arguments):
    message = (
        r"^model\.student\.points=\[1,2,3\].*: model\.student=vgg8 replaces the whole network; to change a value of "
        r"it, write network@model\.student=vgg8 and a pair of the literature, such as model=vgg13_vgg8\.$"
    )
    with pytest.raises(ConfigError, match=message):
        one(*arguments)


@pytest.mark.parametrize("pair", ["vgg13_vgg8", "resnet56_resnet20"])
def test_what_is_to_be_written_instead_sets_the_value(pair):
    run = one(f"model={pair}", "network@model.student=vgg8", "model.student.points=[1,2,3]")
    expected = one("model.student=vgg8").model.student.parameters | {"points": [1, 2, 3]}
    assert run.model.student.parameters == expected


def test_values_in_a_mapping_are_merged_and_may_stand_beside_others():
    run = one("model.student={depth:16}", "model.student.width=2")
    assert (run.model.student.parameters["depth"], run.model.student.parameters["width"]) == (16, 2)


def test_the_preset_of_the_benchmarks_is_padded_as_theirs():
    run, pair = one("experiment=repdistiller"), one("model=resnet32x4_resnet8x4")
    assert run.model == pair.model
    assert run.model.student.parameters["padding"] == "symmetric"


def test_the_preset_of_small_students_differs_in_pair_and_rate_only():
    run, small = (one(f"experiment={name}").facts() for name in ("repdistiller", "repdistiller_mobile"))
    assert small["optimizer"].pop("learning_rate") == 0.01
    assert run["optimizer"].pop("learning_rate") == 0.05
    assert run.pop("model") != small.pop("model")
    assert run == small


def test_the_padding_of_the_earlier_pairs_is_no_fact():
    plain = one("model=resnet_56_resnet_20")
    assert plain.model.student.parameters["padding"] == "same"
    assert "padding" not in plain.facts()["model"]["student"]
    other = one("model=resnet_56_resnet_20", "model.student.padding=symmetric")
    assert other.variant == {"model": "resnet_56_resnet_20", "model.student.padding": "symmetric"}
    assert other.digest != plain.digest
