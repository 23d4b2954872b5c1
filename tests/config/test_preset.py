"""Which preset a command gets: no data but digits inherit the networks and the lengths that were made for digits."""

import pytest

from kd_bench.config.command_line import read
from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError

OWN = "experiment=own"
COMPLETED = [
    ["dataset=folder", "dataset.root=photos"],
    ["method=at", "dataset='arrays'"],
    ["++dataset=tfds"],
    ["dataset=cifar10"],
    ["dataset=of_a_user"],
    ["dataset=digits", "dataset=folder"],  # the last one counts
    ["-m", "dataset=folder,arrays"],
    ["-m", "dataset=choice(folder,'cifar10')"],
    ["-m", "dataset=glob(cifar*)"],
    ["--config-dir=conf", "dataset=folder", "model=mine"],
]
KEPT = [
    [],
    ["method=at"],
    ["dataset=digits"],
    ["-m", "dataset=digits,'digits'"],
    ["dataset.name=photos"],
    ["dataset=folder", "experiment=digits"],
    ["-m", "dataset=digits,folder", "experiment=digits,own"],
    ["dataset=folder", "experiment=[digits,quick]"],
    ["dataset=folder", "+experiment=digits"],
    ["dataset=folder", "~experiment"],
    ["dataset=folder", "+hydra.sweeper.params.experiment='digits,own'"],
    ["--config-name=study", "dataset=folder"],
    ["--config-path=conf", "dataset=folder"],
    ["dataset=folder,"],  # cannot be read, and is refused as such
]
UNCLEAR = ["dataset=digits,folder", "dataset=shuffle(arrays,digits)", "dataset=glob(*)", "dataset=${oc.env:DATA}"]


@pytest.mark.parametrize("arguments", COMPLETED, ids=" ".join)
def test_data_other_than_digits_have_a_preset_of_their_own(arguments):
    options = read(arguments)
    assert [*options.flags, *options.overrides] == [*arguments, OWN]
    assert read([*arguments, OWN]).overrides == options.overrides


@pytest.mark.parametrize("arguments", KEPT, ids=" ".join)
def test_nothing_is_added_to_a_command_that_has_its_preset(arguments):
    assert read(arguments).overrides == [argument for argument in arguments if not argument.startswith("-")]


@pytest.mark.parametrize("line", UNCLEAR)
def test_data_that_no_single_preset_suits_need_a_named_one(line):
    with pytest.raises(ConfigError, match=r"^dataset=.*: digits and other data sets .* such as experiment=own\.$"):
        jobs(["-m", line, "method=student"])
    assert read(["-m", line, OWN]).overrides == [line, OWN]


def test_what_the_preset_sets():
    (run,) = jobs(["dataset=tfds", "dataset.name=flowers", "method=at"])
    assert (run.experiment, run.model.name, run.variant) == ("own", "wrn_16_2_wrn_10_1_any_size", {})
    assert (run.epochs, run.batch_size, run.precision) == (run.teacher.epochs, run.teacher.batch_size, "auto")
    assert run.hardware.parameters["threads"] is None
    assert run.teacher_run().variant == {}


def test_a_named_preset_of_digits_is_the_run_that_other_data_had_before():
    (run,) = jobs(["dataset=tfds", "dataset.name=flowers", "method=at", "experiment=digits"])
    assert (run.model.name, run.epochs, run.precision) == ("tiny", 30, "float32")
    assert run.hardware.parameters["threads"] == 1


def test_own_networks_and_values_come_before_the_preset(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/flowers.yaml").write_text("defaults: [tfds]\nname: flowers\n")
    (run,) = jobs([f"--config-dir={tmp_path}", "dataset=flowers", "model=tiny", "epochs=3"])
    assert (run.experiment, run.model.name, run.epochs, run.teacher.epochs) == ("own", "tiny", 3, 60)


def test_a_sweep_over_own_data_has_the_preset_in_each_run():
    runs = jobs(["-m", "dataset=cifar10,cifar100", "method=student,at"])
    assert {(run.dataset.name, run.experiment) for run in runs} == {("cifar10", "own"), ("cifar100", "own")}
