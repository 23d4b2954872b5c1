"""Which runs are built before the first run of a command: what one build decides is built once, the rest not at all."""

import pytest
from helpers.published import DIGITS_TEACHER

from kd_bench.config.compose import jobs
from kd_bench.launch.combinations import combination, missing_data, to_build
from kd_bench.launch.sweep import with_teachers
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.outcome import record_failure
from kd_bench.runs.record import write_record


def built(*arguments):
    """Returns the method and the fraction of each run that is built."""
    runs = to_build(with_teachers(jobs(["-m", *arguments])))
    return [(run.method.name, run.fraction) for run in runs]


@pytest.mark.parametrize(
    "usual",
    [
        ["seed=0,1", "fraction=1.0,0.1", "method=teacher,student,fitnet,dml,co"],
        ["method=at", "epochs=3", "teacher.epochs=3", "optimizer.learning_rate=0.2", "kd_weight=0.9", "validation=0.1"],
        ["method=at", "experiment=cifar100_small,repdistiller"],
        ["method=at", "dataset.data_dir=elsewhere", "hardware=gpu", "augmentation.mixup=0.2"],
    ],
)
def test_what_is_shipped_and_fits_is_not_built(usual, tmp_path):
    assert built(*usual, f"outputs={tmp_path}") == []


@pytest.mark.parametrize(
    "own",
    [
        "method.hint_point=2",
        "model=wrn_40_2_vgg_8",
        "model.student.width=3",
        "dataset=cifar10",
        "dataset.padding=2",
        "batch_size=32",
        "fraction=0.05",
        "validation=0.05",
        "augmentation.rand_augment=1",
    ],
)
def test_what_is_not_usual_is_built_once_for_all_seeds_and_lengths(own, tmp_path):
    every = ["method=fitnet", "seed=0,1", "epochs=2,3", own, f"outputs={tmp_path}"]
    assert [method for method, _ in built(*every)].count("fitnet") == 1


def test_a_teacher_in_a_file_is_built_for_each_method_that_reads_it_small_fractions_first(tmp_path):
    file = ["teacher=file", f"teacher.path={DIGITS_TEACHER}", f"outputs={tmp_path}"]
    found = built("method=student,at", "seed=0,1", "fraction=1.0,0.5", *file)
    assert found == [("at", 0.5), ("teacher", 1.0), ("at", 1.0)]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_combination_of_which_a_run_has_a_checkpoint_is_not_built_again(seed, tmp_path):
    sweep = ["-m", "method=student", "batch_size=32", "seed=0,1", f"outputs={tmp_path}"]
    runs = jobs(sweep)
    assert len(to_build(runs)) == 1
    checkpoints = RunFolder(runs[seed].directory).checkpoints
    checkpoints.mkdir(parents=True)
    (checkpoints / "000001-main-9-0123abcd.safetensors").touch()
    assert to_build(runs) == []


def test_a_run_that_failed_is_built(tmp_path):
    (run,) = jobs(["method=student", "batch_size=32", f"outputs={tmp_path}"])
    RunFolder(run.directory).make()
    write_record(RunFolder(run.directory).record, record_failure(run, "a reason"))
    assert to_build([run]) == [run]


def test_runs_of_one_combination_differ_by_no_value_that_a_build_reads():
    same = jobs(["-m", "method=fitnet", "batch_size=32", "seed=0,1", "teacher.epochs=1,2", "precision=float32,auto"])
    assert len({combination(run) for run in same}) == 1
    other = jobs(["-m", "method=fitnet", "method.hint_point=1,2", "batch_size=32,64", "fraction=1.0,0.5"])
    assert len({combination(run) for run in other}) == 8


def test_a_set_that_is_not_prepared_is_missing_once(tmp_path):
    sweep = ["-m", "experiment=digits", "method=student,at", "dataset=digits,cifar10", f"dataset.data_dir={tmp_path}"]
    assert [dataset.name for dataset in missing_data(jobs(sweep))] == ["digits", "cifar10"]
    (tmp_path / "digits/1.0.0").mkdir(parents=True)
    (tmp_path / "digits/1.0.0/dataset_info.json").touch()
    assert [dataset.name for dataset in missing_data(jobs(sweep))] == ["cifar10"]
